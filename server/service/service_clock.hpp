#pragma once

#include <chrono>

#include "core/deadline_queue.hpp"
#include "server/service/group_commit.hpp"

namespace locker::server {

/// The clock of leases and waits: the time since the start, without that in which clients could not
/// renew. It leaves out
///   1. a gap between two reads: the process or the machine was stopped;
///   2. the time in which the disk stood still: renewals on the thread that waits for it are unread
///      in their sockets, and all others are not answered;
///   3. everything after stop().
/// Not thread-safe.
class ServiceClock {
 public:
  using Steady = std::chrono::steady_clock;
  /// Must be read at least this often.
  static constexpr std::chrono::milliseconds read_every{100};

  explicit ServiceClock(Steady::time_point began) : began_(began), last_read_(began) {}

  /// `disk_stood_still` is the total since the start, from GroupCommit::stood_still().
  [[nodiscard]] core::Instant read(Steady::time_point now, Steady::duration disk_stood_still) {
    const Steady::duration by_disk = disk_stood_still - disk_stood_still_;
    const Steady::duration gap = now - last_read_ - by_disk;
    disk_stood_still_ = disk_stood_still;
    last_read_ = now;
    left_out_ += by_disk;
    if (is_stopped_) {
      left_out_ += gap;
    } else if (gap > GroupCommit::stand_still_min) {
      left_out_ += gap - read_every;
    }
    return core::Instant{std::chrono::duration_cast<core::Duration>(now - began_ - left_out_)};
  }
  /// Stops the clock at the last read.
  void stop() { is_stopped_ = true; }
  [[nodiscard]] bool is_stopped() const { return is_stopped_; }

 private:
  Steady::time_point began_;
  Steady::time_point last_read_;
  Steady::duration disk_stood_still_{0};  // at the last read
  Steady::duration left_out_{0};
  bool is_stopped_ = false;
};

}  // namespace locker::server
