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

// What Arbiter answers, and the events that it tells.

enum class Outcome : std::uint8_t {
  granted,
  held_already,  ///< The same request was granted before: the same answer.
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

/// Somebody in the way, or something in a list; owns its text.
struct LockInfo {
  enum class State : std::uint8_t { held, cooling, waiting };
  std::string packed_path;
  Shape shape;
  std::string owner;
  State state = State::held;
  Fence fence = 0;                   ///< Zero for a waiter.
  Instant waiting_since{};           ///< Of a waiter.
  bool is_kept = false;              ///< Of a waiter: nobody waits now, its place is kept.
  Milliseconds ttl{};                ///< Zero: none.
  std::optional<Instant> expires{};  ///< When the lease or the cooling ends.
  std::string meta{};
};

/// Who waits for whom in a deadlock.
struct CycleStep {
  std::string owner;
  std::string waits_for;   ///< A packed path.
  std::string blocked_by;  ///< Where the next one is in its way: a packed path.
  Fence fence = 0;         ///< Of what the next one holds there; zero: it waits for it itself.
};

struct Acquired {
  Outcome outcome = Outcome::granted;
  Token token;
  std::string owner;
  Fence fence = 0;
  Milliseconds ttl{};
  std::vector<Wanted> locks;                ///< What was granted.
  bool lease_is_fresh = false;              ///< The grant has opened it.
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

/// Of Arbiter::acquire_legacy().
struct LegacyAcquired {
  Outcome outcome = Outcome::granted;
  std::string_view blocked_by;  ///< The owner; good until the next command.
  /// The lock in the way; none when it is a waiter. Good until the next command.
  std::optional<HeldLock> blocker;
};

enum class ReleaseOutcome : std::uint8_t {
  released,
  left,  ///< It held nothing of this, but waited for it; it does so no more.
  released_before,
  lease_ended,
  wrong_token,
  not_held,
  busy,
  disk_full
};
struct Released {
  ReleaseOutcome outcome = ReleaseOutcome::released;
  Fence fence = 0;        ///< Of the lock at the path, also when it was released before.
  std::size_t count = 0;  ///< Of locks that were released now.
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
/// Of Arbiter::open_lease() and renew().
struct LeaseAnswer {
  LeaseOutcome outcome = LeaseOutcome::living;
  Token token;
  std::string owner;
  Milliseconds ttl{};
  std::size_t locks = 0;   ///< Of renew() only, like the next two.
  Fence newest_fence = 0;  ///< The highest of its locks'; zero: it has none.
  std::size_t waiters = 0;
  std::optional<EndedMemory::Ended> ended;  ///< With ended.
  /// With in_use. Its parameter is none where all is the same, but an acquire opened the lease.
  std::optional<TokenUse> in_use;
};

struct Forced {
  Outcome outcome = Outcome::granted;  ///< It is done; or busy, disk_full.
  std::size_t count = 0;               ///< Locks, requests, and leases that held nothing.
};

/// Who is in the way of an exclusive request with both flags, waiters aside.
struct Covering {
  std::vector<LockInfo> holders;    ///< Of exactly this path.
  std::vector<LockInfo> elsewhere;  ///< Above and below it.
  std::size_t holder_count = 0;
  std::size_t elsewhere_count = 0;
};

enum class EventKind : std::uint8_t {
  granted,
  released,
  expired,
  forced,
  cooled,  ///< It blocks no more, by itself or because it was forced once more.
  waiting,
  left
};
struct Event {
  EventKind kind = EventKind::granted;
  PathView path;
  Shape shape;
  std::string_view owner;
  Fence fence = 0;
  Milliseconds cooling{};  ///< Of expired and forced: so long it goes on blocking, until `cooled`.
};

}  // namespace locker::core
