#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/deadline_queue.hpp"
#include "core/ended_memory.hpp"
#include "core/held_lock.hpp"
#include "core/lock.hpp"
#include "core/path.hpp"
#include "core/request.hpp"
#include "core/token_use.hpp"

namespace locker::core {

// The answers of Arbiter, and the events that it emits.

enum class Outcome : std::uint8_t {
  granted,
  held_already,  ///< The same request was granted before; the same answer again.
  blocked,
  queued,
  deadlock,
  token_in_use,
  lease_ended,
  too_many_locks,
  too_many_leases,
  too_many_waiters,
  too_many_waiters_of_lease,
  too_many_locks_of_lease,
  too_much_memory,
  busy,  ///< The journal is making room: try again.
  disk_full,
  superseded,  ///< The same client asked again; its later request has the place.
};

/// A blocker, or an entry of a list; owns its text.
struct LockInfo {
  enum class State : std::uint8_t { held, cooling, waiting };
  std::string packed_path;
  Shape shape;
  std::string owner;
  State state = State::held;
  Fence fence = 0;                   ///< Zero for a waiter.
  Instant waiting_since{};           ///< Of a waiter.
  bool is_kept = false;              ///< Of a waiter: its client has left, its place is kept.
  Milliseconds ttl{};                ///< Zero: none.
  std::optional<Instant> expires{};  ///< When the lease or the cooling ends.
  std::string meta{};
};

/// One step of a deadlock's cycle: an owner, and what it waits for.
struct CycleStep {
  std::string owner;
  std::string waits_for;   ///< A packed path.
  std::string blocked_by;  ///< Where the next owner is in its way: a packed path.
  Fence fence = 0;         ///< Of the lock that the next owner holds there; zero: it waits, too.
};

struct Acquired {
  Outcome outcome = Outcome::granted;
  Token token;
  std::string owner;
  Fence fence = 0;
  Milliseconds ttl{};
  std::vector<Wanted> locks;                ///< What was granted.
  bool lease_is_fresh = false;              ///< The grant opened the lease.
  Duration waited{};                        ///< Of a request that was queued.
  std::vector<LockInfo> blocked_by;         ///< With blocked.
  std::vector<CycleStep> cycle;             ///< With deadlock.
  std::optional<TokenUse> in_use;           ///< With token_in_use.
  std::optional<EndedMemory::Ended> ended;  ///< With lease_ended.
  WaiterId waiter = 0;                      ///< With queued.
};
[[nodiscard]] inline Acquired refused(Outcome outcome) {
  Acquired acquired;
  acquired.outcome = outcome;
  return acquired;
}
[[nodiscard]] inline Acquired refused(const EndedMemory::Ended& ended) {
  Acquired acquired = refused(Outcome::lease_ended);
  acquired.ended = ended;
  return acquired;
}

/// The answer of Arbiter::acquire_legacy().
struct LegacyAcquired {
  Outcome outcome = Outcome::granted;
  std::string_view blocked_by;  ///< The blocker's owner; valid until the next command.
  /// The blocking lock; null if a waiter is in the way. Valid until the next command.
  std::optional<HeldLock> blocker;
};

enum class ReleaseOutcome : std::uint8_t {
  released,
  left,  ///< The token held nothing there, but waited for it; that wait was ended.
  released_before,
  lease_ended,
  wrong_token,
  not_held,
  busy,
  disk_full
};
struct Released {
  ReleaseOutcome outcome = ReleaseOutcome::released;
  Fence fence = 0;        ///< Of the lock at the path, also if it was released before.
  std::size_t count = 0;  ///< Locks released by this call.
  std::optional<EndedMemory::Ended> ended;  ///< With lease_ended, released_before.
};

enum class LeaseOutcome : std::uint8_t {
  opened,
  living,
  ended,
  unknown,
  in_use,
  too_many,
  too_much_memory,
  busy,
  disk_full
};
/// The answer of Arbiter::open_lease() and renew().
struct LeaseAnswer {
  LeaseOutcome outcome = LeaseOutcome::living;
  Token token;
  std::string owner;
  Milliseconds ttl{};
  std::size_t locks = 0;   ///< Set by renew() only, as are the next two.
  Fence newest_fence = 0;  ///< The highest fence of its locks; zero: it has none.
  std::size_t waiters = 0;
  std::optional<EndedMemory::Ended> ended;  ///< With ended.
  /// With in_use. `differs` is none if owner and TTL are the same, but an acquire opened the lease.
  std::optional<TokenUse> in_use;
};

struct Forced {
  Outcome outcome = Outcome::granted;  ///< Granted: done; else busy or disk_full.
  std::size_t count = 0;               ///< Ended locks, requests, and leases that held nothing.
};

/// The locks in the way of an exclusive request with both flags; without waiters.
struct Covering {
  std::vector<LockInfo> holders;    ///< At exactly this path.
  std::vector<LockInfo> elsewhere;  ///< Above and below it.
  std::size_t holder_count = 0;
  std::size_t elsewhere_count = 0;
};

enum class EventKind : std::uint8_t {
  granted,
  released,
  expired,
  forced,
  cooled,  ///< Its lock-delay is over, because it ran out or because the lock was forced again.
  waiting,
  left
};
struct Event {
  EventKind kind = EventKind::granted;
  PathView path;
  Shape shape;
  std::string_view owner;
  Fence fence = 0;
  Milliseconds cooling{};  ///< With expired and forced: how long it still blocks, until `cooled`.
};

}  // namespace locker::core
