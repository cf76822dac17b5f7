#pragma once

#include <pthread.h>

#include <cstddef>

namespace locker::test {

/// While it exists, no thread can be started, because there is no room for its stack.
class NoMoreThreads {
 public:
  NoMoreThreads() {
    pthread_getattr_default_np(&before_);
    pthread_attr_t larger = before_;
    pthread_attr_setstacksize(&larger, std::size_t{1} << 47U);
    pthread_setattr_default_np(&larger);
  }
  ~NoMoreThreads() { pthread_setattr_default_np(&before_); }
  NoMoreThreads(const NoMoreThreads&) = delete;
  NoMoreThreads& operator=(const NoMoreThreads&) = delete;

 private:
  pthread_attr_t before_{};
};

}  // namespace locker::test
