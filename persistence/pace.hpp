#pragma once

#include <algorithm>
#include <chrono>
#include <functional>
#include <stop_token>
#include <utility>

namespace locker::persistence {

/// Throttles long background work in a server. The thread works for a fraction of a millisecond, or
/// for one step if that takes longer, and then rests three times as long, so that requests that
/// need the disk or a processor wait for little of it. While a snapshot of 10 million locks was
/// written, p99 latency was three to four times as high as usual without rests and 1.2 to 1.4 times
/// with them; the snapshot takes seven times as long. A lower thread priority changes neither. Not
/// thread-safe.
class Pace {
 public:
  using Rest = std::function<void(std::chrono::nanoseconds)>;
  using Clock = std::chrono::steady_clock::time_point (*)();
  static constexpr int rest_per_work = 3;
  static constexpr std::chrono::microseconds work_min{200};
  /// Bounds the rest after a sync that hung, or after the process was suspended.
  static constexpr std::chrono::seconds rest_max{1};

  /// `rest` sleeps for the given time, or less if the work is urgent. Null: no rests.
  explicit Pace(std::stop_token stop = {}, Rest rest = {},
                Clock clock = &std::chrono::steady_clock::now)
      : stop_(std::move(stop)), rest_(std::move(rest)), clock_(clock), began_(clock()) {}

  /// Call after each step of a few microseconds at most, and after each I/O. Returns false if the
  /// work is to be abandoned.
  bool goes_on() {
    if (rest_ && ++steps_ % steps_at_once == 0) rest_if_due();
    return !stop_.stop_requested();
  }
  [[nodiscard]] bool is_stopped() const { return stop_.stop_requested(); }

 private:
  static constexpr unsigned steps_at_once = 64;  // reads the clock once per so many steps

  void rest_if_due() {
    const auto worked = clock_() - began_;
    if (worked < work_min) return;
    rest_(std::min<std::chrono::nanoseconds>(rest_per_work * worked, rest_max));
    began_ = clock_();
  }

  std::stop_token stop_;
  Rest rest_;
  Clock clock_;
  std::chrono::steady_clock::time_point began_;
  unsigned steps_ = 0;
};

}  // namespace locker::persistence
