#include "tests/client/suspended_clock.hpp"

#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <atomic>
#include <cstdint>
#include <ctime>
#include <new>

namespace locker::test {
namespace {

using Seconds = std::atomic<std::int64_t>;

Seconds* shared_with_children() {
  void* const memory =
      ::mmap(nullptr, sizeof(Seconds), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  return memory == MAP_FAILED ? nullptr : new (memory) Seconds{0};
}

Seconds* const suspended = shared_with_children();

}  // namespace

void suspend(std::chrono::seconds time) { *suspended += time.count(); }

}  // namespace locker::test

/// In the place of the C library's.
extern "C" int clock_gettime(clockid_t clock, timespec* time) noexcept {
  const long result = ::syscall(SYS_clock_gettime, clock, time);
  const auto* const suspended = locker::test::suspended;
  if (clock == CLOCK_BOOTTIME && suspended != nullptr) time->tv_sec += *suspended;
  return static_cast<int>(result);
}
