#pragma once

#include <chrono>
#include <cstdint>
#include <mutex>
#include <utility>

namespace locker::server {

/// How many lines a second the audit log spends on requests without a good key, whoever sends them:
/// else anybody could fill the disk. The first `size` of each second are written. Thread-safe.
class LineBudget {
 public:
  using Clock = std::chrono::steady_clock;

  explicit LineBudget(std::uint32_t size) : size_(size) {}

  struct Spent {
    bool is_allowed = false;
    std::uint64_t left_out = 0;  ///< Lines that were not since the last one that was.
  };
  [[nodiscard]] Spent spend(Clock::time_point now) {
    const std::lock_guard lock{mutex_};
    if (now - began_ >= std::chrono::seconds{1}) {
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
  std::mutex mutex_;
  Clock::time_point began_{};
  std::uint32_t spent_ = 0;
  std::uint64_t left_out_ = 0;
};

}  // namespace locker::server
