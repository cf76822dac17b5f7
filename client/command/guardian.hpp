#pragma once

#include <sys/types.h>

#include <chrono>

#include "client/library/boot_clock.hpp"

namespace locker::client {

/// A small process beside ours that ends the command when we cannot: it must not outlive the lease.
///
/// - We are killed (SIGKILL, out of memory): a socket from us is closed, so it notices at once. The
///   command's group gets SIGTERM, and SIGKILL after the grace.
/// - We are stopped, or hang, and renew nothing: shortly before the lease ends the group gets
///   SIGTERM, and SIGKILL.
///
/// When it is killed as well (a whole container is), nobody is left to end anything.
class Guardian {
 public:
  using Clock = BootClock;

  struct Lease {
    std::chrono::milliseconds ttl{0};
    Clock::time_point ends_at = Clock::time_point::max();  ///< That is never.
    /// From TERM to KILL when we die, if the lease does not end before.
    std::chrono::milliseconds grace{0};
  };

  /// What it guards it is told later, by watch().
  Guardian();
  /// As if we died: who ends by an exception leaves the command to it.
  ~Guardian();
  Guardian(const Guardian&) = delete;
  Guardian& operator=(const Guardian&) = delete;

  /// From now on the group must have ended by the time at which the lease ends. To be called again
  /// after each renewal, for that may have brought another TTL.
  void watch(pid_t group, const Lease& lease) const;
  /// Whether somebody has killed it.
  [[nodiscard]] bool is_gone();
  /// The command has ended, or we end it: nothing is left to guard.
  void dismiss();

 private:
  int socket_ = -1;
  pid_t pid_ = -1;
};

}  // namespace locker::client
