#pragma once

#include <chrono>

#include "core/deadline_queue.hpp"
#include "server/service/group_commit.hpp"

namespace locker::server {

/// What leases and waits are counted in: the time since the start, without that in which clients
/// could not renew. Left out are
///   1. a gap between two reads: a process, or a machine, that was stopped;
///   2. the time in which the disk stood still: the renewals of clients whose thread waits for it
///      are unread in their sockets, and all others are not answered;
///   3. everything after stop().
/// Not thread-safe.
class ServiceClock {
 public:
  using Steady = std::chrono::steady_clock;
  /// Has to be read as often at least.
  static constexpr std::chrono::milliseconds read_every{100};

  explicit ServiceClock(Steady::time_point began) : began_(began), last_read_(began) {}

  /// `disk_stood_still`: since the start, as GroupCommit tells it.
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
  /// Stands still from the last read on.
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
