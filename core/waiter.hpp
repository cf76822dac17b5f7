#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "core/deadline_queue.hpp"
#include "core/lock.hpp"
#include "core/request.hpp"

namespace locker::core {

struct Waiter;

/// Who is looked at again when something goes. A waiter is in the list of one thing that is in its
/// way, and not of all: as long as that one stands nothing can change for it.
using Dependants = std::map<Ticket, Waiter*>;

/// A request: what is asked, and its place once it is queued.
struct Waiter {
  WaiterId id = 0;
  Ticket ticket = 0;
  Token token;
  bool token_is_chosen = false;  ///< By the client, who can come back with it.
  std::string owner;             ///< For a lease that the grant opens.
  std::vector<Wanted> wanted;
  std::size_t any = 0;                ///< How many of them suffice; zero: all.
  std::optional<Milliseconds> ttl{};  ///< What the client said.
  /// Since this request arrived: then its grant must not shorten the TTL that a renewal promised.
  bool lease_was_renewed = false;
  Milliseconds default_ttl{};  ///< For a lease that the grant opens.
  Milliseconds lock_delay{};
  std::string meta;
  Instant since{};          ///< It waits.
  std::size_t bytes = 0;    ///< Of memory that it takes while it waits, about.
  bool is_kept = false;     ///< Nobody waits at the moment: skipped, but its place is kept.
  bool is_leaving = false;  ///< The same soon: others stand behind it still, but it is not granted.
  bool changes_mode = false;  ///< Of a lock that the lease holds, and of nothing else.
  std::uint32_t timer = 0;    ///< The end of its wait, or of its kept place; zero: none.
  std::vector<Dependants*> registrations;  ///< The lists that it is in.
  /// Requests that wait for this one. Not null while it waits itself.
  std::unique_ptr<Dependants> dependants;
  Dependants followers;  ///< Requests that want just the same, one behind the other.

  [[nodiscard]] std::size_t needed() const { return any == 0 ? wanted.size() : any; }
  [[nodiscard]] bool has_choice() const { return needed() < wanted.size(); }
};

}  // namespace locker::core
