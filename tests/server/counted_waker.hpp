#pragma once

#include <atomic>

#include "server/request_handler.hpp"

namespace locker::server {

class CountedWaker final : public Waker {
 public:
  void wake() override {
    ++wakes;
    wakes.notify_one();
  }
  std::atomic<int> wakes = 0;
};

}  // namespace locker::server
