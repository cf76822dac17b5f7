#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "core/arbiter_answers.hpp"
#include "core/deadline_queue.hpp"
#include "core/lock.hpp"
#include "core/lock_cursor.hpp"
#include "core/request.hpp"

namespace locker::core {

// Arguments of Arbiter's commands that take more than a token and a path.

/// The time of a command.
struct Now {
  Instant instant{};
  Fence wall = 0;  ///< Microseconds since 1970; used for fences only.
};

/// A request for one path or several.
struct AcquireCommand {
  std::vector<Wanted> wanted;  ///< Not empty, no path twice.
  std::size_t any = 0;         ///< How many of them to grant; zero: all.
  std::optional<Token> token;  ///< Chosen by the client.
  Token fresh_token;           ///< For a new lease, if the client chose none.
  std::optional<std::string> owner;
  std::optional<Milliseconds> ttl;
  Milliseconds default_ttl{};
  Milliseconds lock_delay{};
  std::string meta;
  Duration wait{};               ///< Zero: answer immediately.
  bool client_has_left = false;  ///< Must not take over the place of a client that still waits.
};

/// Selects what an administrator ends by force.
struct ForceFilter {
  std::optional<std::string> packed_path;  ///< Exactly this path.
  std::optional<std::string> packed_prefix;
  std::optional<std::string> owner;
  std::optional<Fence> fence;
  /// Also ends cooling locks: a second force then cuts short the lock-delay that the first began.
  bool ends_cooling = false;
  bool ends_waiting = false;  ///< Also ends waiting requests and kept places; these have no fence.
  /// Whether it selects everything of one owner, and so also its leases that hold nothing.
  [[nodiscard]] bool means_leases() const {
    return owner && !fence && !packed_path && packed_prefix.value_or("").empty();
  }
};

/// The progress of a force that runs in slices, with other commands in between. Locks granted after
/// Arbiter::begin_force() are left alone, so that it does not hit the next holder. If it also ends
/// waiting requests, only locks granted after the last of these has ended are left alone.
struct Forcing {
  ForceFilter filter;
  std::string detail;
  Forced forced{};
  // Waiters come first: otherwise they would be granted the locks that end.
  enum class Stage : std::uint8_t { waiters, locks, leases, over };
  Stage stage = Stage::waiters;
  std::uint64_t number = 0;  // ends only waiters with lower tickets
  Ticket next_ticket = 0;    // to look at
  std::unique_ptr<LockCursor> cursor{};
  LockId last_lock{};                 // that was looked at
  Fence newest = 0;                   // the highest fence of a lock or lease that may be ended
  std::optional<Token> last_lease{};  // that was looked at
};

}  // namespace locker::core
