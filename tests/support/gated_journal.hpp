#pragma once

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <limits>
#include <mutex>
#include <string_view>
#include <thread>

#include "persistence/journal.hpp"

namespace locker::test {

/// A journal without a disk, whose append() can be blocked until the test releases it.
class GatedJournal final : public persistence::Journal {
 public:
  persistence::Result<void> append(std::string_view, std::uint32_t count) override {
    std::this_thread::sleep_for(delay_.load());
    std::unique_lock lock{mutex_};
    ++entered_;
    changed_.notify_all();
    changed_.wait(lock, [this] { return open_; });
    records_ += count;
    return {};
  }
  core::Room room_for(std::size_t, bool, std::size_t) const override {
    return room_ > 0 && room_-- > 0 ? core::Room::enough : core::Room::soon;
  }

  void close_gate() {
    const std::lock_guard lock{mutex_};
    open_ = false;
  }
  void open_gate() {
    const std::lock_guard lock{mutex_};
    open_ = true;
    changed_.notify_all();
  }
  /// Makes room_for() return `enough` this many more times, and `soon` from then on.
  void set_room(int times) { room_ = times; }
  /// Sets the duration of each further append().
  void set_delay(std::chrono::milliseconds delay) { delay_ = delay; }
  /// Returns when append() has been called `count` times in all.
  void wait_for_appends(std::uint64_t count) {
    std::unique_lock lock{mutex_};
    changed_.wait(lock, [&] { return entered_ >= count; });
  }
  [[nodiscard]] std::uint64_t records() {
    const std::lock_guard lock{mutex_};
    return records_;
  }

 private:
  mutable std::atomic<int> room_ = std::numeric_limits<int>::max();
  std::atomic<std::chrono::milliseconds> delay_{std::chrono::milliseconds{0}};
  std::mutex mutex_;
  std::condition_variable changed_;
  bool open_ = true;
  std::uint64_t entered_ = 0;
  std::uint64_t records_ = 0;
};

}  // namespace locker::test
