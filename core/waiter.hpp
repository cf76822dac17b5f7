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
#include "core/path.hpp"

namespace locker::core {

using WaiterId = std::uint64_t;
/// The place in the queue: who has the lower one came first.
using Ticket = std::uint64_t;

struct Waiter;

/// Who is looked at again when something goes. A waiter is in the list of one thing that is in its
/// way, and not of all: as long as that one stands nothing can change for it.
using Dependants = std::map<Ticket, Waiter*>;

/// A queued request.
struct Waiter {
  struct Wanted {
    std::string packed_path;
    Shape shape;
    [[nodiscard]] PathView path() const { return PathView{packed_path}; }
  };

  WaiterId id = 0;
  Ticket ticket = 0;
  Token token;
  bool token_is_chosen = false;  ///< By the client, who can come back with it.
  std::string owner;             ///< For a lease that the grant opens.
  std::vector<Wanted> wanted;
  std::size_t any = 0;                ///< How many of them suffice; zero: all.
  std::optional<Milliseconds> ttl{};  ///< What the client said.
  /// After this request arrived: then the grant must not shorten what the renewal promised.
  bool lease_was_renewed = false;
  Milliseconds default_ttl{};  ///< For a lease that the grant opens.
  Milliseconds lock_delay{};
  std::string meta;
  Instant since{};
  std::size_t bytes = 0;      ///< Of memory that it takes, about.
  bool is_kept = false;       ///< Nobody waits at the moment: skipped, but its place is kept.
  bool changes_mode = false;  ///< Of a lock that the lease holds, and of nothing else.
  std::uint32_t timer = 0;
  std::vector<Dependants*> registrations;  ///< The lists that it is in.
  /// Requests that wait for this one. Not null once it was in the queue.
  std::unique_ptr<Dependants> dependants;
  [[nodiscard]] std::size_t needed() const { return any == 0 ? wanted.size() : any; }
  [[nodiscard]] bool has_choice() const { return needed() < wanted.size(); }
  Dependants followers;  ///< Requests that want just the same, one behind the other.
};

}  // namespace locker::core
