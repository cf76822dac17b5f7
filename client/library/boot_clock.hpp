#pragma once

#include <algorithm>
#include <chrono>
#include <ctime>

#include <boost/asio/basic_waitable_timer.hpp>

namespace locker::client {

/// The clock for the lifetime of leases. It goes on counting while this machine is suspended, as
/// the server does; std::chrono::steady_clock does not.
struct BootClock {
  using duration = std::chrono::nanoseconds;
  using rep = duration::rep;
  using period = duration::period;
  using time_point = std::chrono::time_point<BootClock>;
  static constexpr bool is_steady = true;

  static time_point now() noexcept {
    timespec time{};
    ::clock_gettime(CLOCK_BOOTTIME, &time);  // cannot fail since Linux 2.6.39
    return time_point{std::chrono::seconds{time.tv_sec} + std::chrono::nanoseconds{time.tv_nsec}};
  }
};

/// The longest that a BootTimer waits before it reads the clock again. The system's own timers stop
/// while the machine is suspended, so after a resume an expiry is noticed within this time.
constexpr std::chrono::seconds longest_without_a_look{2};

/// Wait traits for BootTimer: no wait is longer than `longest_without_a_look`.
struct BootWait {
  static BootClock::duration to_wait_duration(BootClock::duration left) {
    return std::min<BootClock::duration>(left, longest_without_a_look);
  }
  static BootClock::duration to_wait_duration(BootClock::time_point when) {
    return to_wait_duration(when - BootClock::now());
  }
};

/// A timer on BootClock. After each wait Asio reads the clock, and waits again if it is too early.
using BootTimer = boost::asio::basic_waitable_timer<BootClock, BootWait>;

}  // namespace locker::client
