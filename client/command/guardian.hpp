#pragma once

#include <sys/types.h>

#include <chrono>

#include "client/library/boot_clock.hpp"

namespace locker::client {

/// A small process that ends the command when `locker run` cannot, so that the command does not
/// outlive the lease:
///
/// - `locker run` is killed (SIGKILL, out of memory): its end of a socket closes, so the guardian
///   notices immediately. The command's group gets SIGTERM, and SIGKILL after the grace period.
/// - `locker run` is stopped or hangs, and renews nothing: the group gets SIGTERM and then SIGKILL
///   shortly before the lease ends.
///
/// If both are killed together, as in a container, nothing ends the command.
class Guardian {
 public:
  using Clock = BootClock;

  struct Lease {
    std::chrono::milliseconds ttl{0};
    Clock::time_point ends_at = Clock::time_point::max();  ///< max(): never.
    /// From SIGTERM to SIGKILL after our death, unless the lease ends before.
    std::chrono::milliseconds grace{0};
  };

  /// Starts the process, which has nothing to guard before watch().
  Guardian();
  /// Acts on the process as our death does: after an exception it ends the command.
  ~Guardian();
  Guardian(const Guardian&) = delete;
  Guardian& operator=(const Guardian&) = delete;

  /// Makes it end the group before the lease ends. Call it again after each renewal, which may have
  /// changed the TTL.
  void watch(pid_t group, const Lease& lease) const;
  /// Whether the process has been killed.
  [[nodiscard]] bool is_gone();
  /// Ends the process, when nothing is left to guard: the command has ended, or we end it.
  void dismiss();

 private:
  int socket_ = -1;
  pid_t pid_ = -1;
};

}  // namespace locker::client
