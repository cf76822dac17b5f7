#pragma once

#include <sys/types.h>

#include <chrono>

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
  using Clock = std::chrono::steady_clock;

  /// `grace` must be shorter than what is left of the lease when we die: a third of the TTL is. The
  /// group is told later, by watch().
  explicit Guardian(std::chrono::milliseconds grace);
  ~Guardian();
  Guardian(const Guardian&) = delete;
  Guardian& operator=(const Guardian&) = delete;

  /// From now on the group must have ended by `ends_at`, which is time_point::max() for never. To
  /// be called again after each renewal.
  void watch(pid_t group, Clock::time_point ends_at, std::chrono::milliseconds ttl) const;
  /// Whether somebody has killed it.
  [[nodiscard]] bool is_gone();
  /// The command has ended, or we end it: nothing is left to guard.
  void dismiss();

 private:
  int socket_ = -1;
  pid_t pid_ = -1;
};

}  // namespace locker::client
