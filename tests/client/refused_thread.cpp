#include "tests/client/refused_thread.hpp"

#include <dlfcn.h>
#include <pthread.h>

#include <atomic>
#include <cerrno>

namespace locker::test {
namespace {

std::atomic<int> until_refused = 0;

}  // namespace

void refuse_thread(int n) { until_refused = n; }

}  // namespace locker::test

/// In the place of the C library's.
extern "C" int pthread_create(pthread_t* thread, const pthread_attr_t* attributes,
                              void* (*run)(void*), void* argument) noexcept {
  if (locker::test::until_refused > 0 && --locker::test::until_refused == 0) return EAGAIN;
  static const auto create =
      reinterpret_cast<decltype(&pthread_create)>(::dlsym(RTLD_NEXT, "pthread_create"));
  return create(thread, attributes, run, argument);
}
