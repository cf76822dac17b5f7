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

/// The waiters to re-examine when a lock ends or a waiter leaves. A waiter is in the list of one
/// thing in its way, not of all of them: as long as that one stays, nothing changes for the waiter.
using Dependants = std::map<Ticket, Waiter*>;

/// A request, and its place in the queue once it is queued.
struct Waiter {
  WaiterId id = 0;
  Ticket ticket = 0;
  Token token;
  bool token_is_chosen = false;  ///< By the client, which can come back with it.
  std::string owner;             ///< For a lease that the grant opens.
  std::vector<Wanted> wanted;
  std::size_t any = 0;                ///< How many of them suffice; zero: all.
  std::optional<Milliseconds> ttl{};  ///< As stated by the client.
  /// Since this request arrived, so its grant must not shorten the TTL that the renewal promised.
  bool lease_was_renewed = false;
  Milliseconds default_ttl{};  ///< For a lease that the grant opens.
  Milliseconds lock_delay{};
  std::string meta;
  Instant since{};            ///< When the wait began.
  std::size_t bytes = 0;      ///< Approximate memory that it takes while it waits.
  bool is_kept = false;       ///< Its client has left: it is out of the queue, but has its place.
  bool is_leaving = false;    ///< Its client has left: still queued for a moment, but not granted.
  bool changes_mode = false;  ///< Only changes the mode of a lock that the lease holds.
  std::uint32_t timer = 0;    ///< Ends its wait, or its kept place; zero: none.
  std::vector<Dependants*> registrations;  ///< The lists that it is in.
  /// Requests that wait for this one. Not null while it waits itself.
  std::unique_ptr<Dependants> dependants;
  Dependants followers;  ///< Identical requests, each behind the previous one.

  [[nodiscard]] std::size_t needed() const { return any == 0 ? wanted.size() : any; }
  [[nodiscard]] bool has_choice() const { return needed() < wanted.size(); }
};

}  // namespace locker::core
