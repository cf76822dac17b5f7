#pragma once

#include <chrono>
#include <cstdint>
#include <mutex>
#include <utility>

namespace locker::server {

/// Limits the log lines per period for events that anybody can cause, such as requests without a
/// valid key, so that nobody can fill the disk. The first `size` lines of each period are allowed.
/// Thread-safe.
class LineBudget {
 public:
  using Clock = std::chrono::steady_clock;

  explicit LineBudget(std::uint32_t size, Clock::duration period = std::chrono::seconds{1})
      : size_(size), period_(period) {}

  struct Spent {
    bool is_allowed = false;
    std::uint64_t left_out = 0;  ///< Lines not allowed since the last allowed one.
  };
  [[nodiscard]] Spent spend(Clock::time_point now) {
    const std::lock_guard lock{mutex_};
    if (now - began_ >= period_) {
      began_ = now;
      spent_ = 0;
    }
    if (spent_ == size_) {
      ++left_out_;
      return {};
    }
    ++spent_;
    return {true, std::exchange(left_out_, 0)};
  }

 private:
  const std::uint32_t size_;
  const Clock::duration period_;
  std::mutex mutex_;
  Clock::time_point began_{};
  std::uint32_t spent_ = 0;
  std::uint64_t left_out_ = 0;
};

}  // namespace locker::server
