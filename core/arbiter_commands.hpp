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

// What Arbiter is asked, where that is more than a token and a path.

/// The time of a command.
struct Now {
  Instant instant{};
  Fence wall = 0;  ///< Microseconds since 1970; only fences are made of it.
};

/// A request for one path or several.
struct AcquireCommand {
  std::vector<Wanted> wanted;  ///< Not empty, no path twice.
  std::size_t any = 0;         ///< How many of them; zero: all.
  std::optional<Token> token;  ///< The client's.
  Token fresh_token;           ///< For a lease if the client gave none.
  std::optional<std::string> owner;
  std::optional<Milliseconds> ttl;
  Milliseconds default_ttl{};
  Milliseconds lock_delay{};
  std::string meta;
  Duration wait{};               ///< Zero: answer at once.
  bool client_has_left = false;  ///< Nobody waits for the answer: it takes no place from who does.
};

/// What an administrator ends.
struct ForceFilter {
  std::optional<std::string> packed_path;  ///< Exactly this one.
  std::optional<std::string> packed_prefix;
  std::optional<std::string> owner;
  std::optional<Fence> fence;
  bool ends_cooling =
      false;  ///< Also what cools: then a force that is sent twice undoes the delay.
  bool ends_waiting = false;  ///< Also requests that wait, and kept places; they have no fence.
  /// Everything of one owner, so also its leases that hold nothing.
  [[nodiscard]] bool means_leases() const {
    return owner && !fence && !packed_path && packed_prefix.value_or("").empty();
  }
};

/// A force that goes on in slices, so that others have their turn in between. What is granted after
/// Arbiter::begin_force() is left alone, so it does not hit the next holder; but if it ends waiting
/// requests, only what is granted after the last one of them.
struct Forcing {
  ForceFilter filter;
  std::string detail;
  Forced forced{};
  // How far it is. First the waiters: else they would be granted what ends.
  enum class Stage : std::uint8_t { waiters, locks, leases, over };
  Stage stage = Stage::waiters;
  std::uint64_t number = 0;  // of all forces
  Ticket next_ticket = 0;    // to look at
  std::unique_ptr<LockCursor> cursor{};
  LockId last_lock{};                 // that was looked at
  Fence newest = 0;                   // of the locks and leases that are meant
  std::optional<Token> last_lease{};  // that was looked at
};

}  // namespace locker::core
