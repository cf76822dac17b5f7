#pragma once

#include <sys/types.h>

#include <chrono>

namespace locker::client {

/// A small process beside ours that ends the command if ours is killed (SIGKILL, out of memory):
/// nobody would renew the lease then, and the command must not outlive it. It notices at once,
/// because a pipe from us is closed; it sends the command's group SIGTERM, and SIGKILL after the
/// grace. When it is killed as well (a whole container is), nobody is left to end anything.
class Guardian {
 public:
  /// `grace` must be shorter than what is left of the lease when we die: a third of the TTL is. The
  /// group is told later, by watch().
  explicit Guardian(std::chrono::milliseconds grace);
  ~Guardian();
  Guardian(const Guardian&) = delete;
  Guardian& operator=(const Guardian&) = delete;

  void watch(pid_t group) const;
  /// The command has ended, or we end it: nothing is left to guard.
  void dismiss();

 private:
  int pipe_ = -1;
  pid_t pid_ = -1;
};

}  // namespace locker::client
