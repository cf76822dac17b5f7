#include "client/command/guardian.hpp"

#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <csignal>
#include <thread>

#include "tests/client/suspended_clock.hpp"

namespace locker::client {
namespace {

using namespace std::chrono_literals;

/// A process in a group of its own that does nothing, and ends by itself if nobody ends it.
pid_t start_idle_group() {
  const pid_t group = ::fork();
  if (group == 0) {
    ::alarm(60);
    for (;;) ::pause();
  }
  ::setpgid(group, group);
  return group;
}

int signal_that_ended(pid_t process) {
  int status = 0;
  EXPECT_EQ(::waitpid(process, &status, 0), process);
  return WIFSIGNALED(status) ? WTERMSIG(status) : 0;
}

TEST(GuardianTest, TimeInWhichTheMachineWasSuspendedCounts) {
  const pid_t group = start_idle_group();
  Guardian guardian;
  guardian.watch(group, {.ttl = 1h, .ends_at = BootClock::now() + 1h});
  std::this_thread::sleep_for(100ms);  // it waits by then
  test::suspend(2h);
  EXPECT_EQ(signal_that_ended(group), SIGKILL);
}

}  // namespace
}  // namespace locker::client
