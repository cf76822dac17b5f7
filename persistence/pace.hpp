#pragma once

#include <algorithm>
#include <chrono>
#include <functional>
#include <stop_token>
#include <utility>

namespace locker::persistence {

/// The pace of long work beside a server: it works for a fraction of a millisecond, or for one step
/// that takes longer, and then rests three times as long, so that who waits for the disk or a
/// processor is not behind much of it. Without rests, 99 of 100 requests took three to four times
/// as long as otherwise while a snapshot of 10 million locks was written; like this 1.2 to 1.4
/// times, and the snapshot takes seven times as long. A lower priority of the thread changes
/// neither. For one thread.
class Pace {
 public:
  using Rest = std::function<void(std::chrono::nanoseconds)>;
  using Clock = std::chrono::steady_clock::time_point (*)();
  static constexpr int rest_per_work = 3;
  static constexpr std::chrono::microseconds work_min{200};
  /// A sync that hung, or time in which the process stood still, is not to be made up for.
  static constexpr std::chrono::seconds rest_max{1};

  /// `rest` sleeps for so long, or for less where the work is urgent. Null: there are no rests.
  explicit Pace(std::stop_token stop = {}, Rest rest = {},
                Clock clock = &std::chrono::steady_clock::now)
      : stop_(std::move(stop)), rest_(std::move(rest)), clock_(clock), began_(clock()) {}

  /// To be called after each step of some microseconds at most, or of input or output. False when
  /// the work is to be given up.
  bool goes_on() {
    if (rest_ && ++steps_ % steps_at_once == 0) rest_if_due();
    return !stop_.stop_requested();
  }
  [[nodiscard]] bool is_stopped() const { return stop_.stop_requested(); }

 private:
  static constexpr unsigned steps_at_once = 64;  // the clock is not looked at each time

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
