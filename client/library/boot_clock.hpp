#pragma once

#include <algorithm>
#include <chrono>
#include <ctime>

#include <boost/asio/basic_waitable_timer.hpp>

namespace locker::client {

/// For how long a lease lives. While this machine is suspended the server goes on counting, and so
/// does this clock; std::chrono::steady_clock stands still then.
struct BootClock {
  using duration = std::chrono::nanoseconds;
  using rep = duration::rep;
  using period = duration::period;
  using time_point = std::chrono::time_point<BootClock>;
  static constexpr bool is_steady = true;

  static time_point now() noexcept {
    timespec time{};
    ::clock_gettime(CLOCK_BOOTTIME, &time);  // fails on no Linux of this decade
    return time_point{std::chrono::seconds{time.tv_sec} + std::chrono::nanoseconds{time.tv_nsec}};
  }
};

/// What the system waits with stands still as well, so it must not wait for long without a look at
/// the clock: after a resume an end is noticed so soon.
constexpr std::chrono::seconds longest_without_a_look{2};

struct BootWait {
  static BootClock::duration to_wait_duration(BootClock::duration left) {
    return std::min<BootClock::duration>(left, longest_without_a_look);
  }
  static BootClock::duration to_wait_duration(BootClock::time_point when) {
    return to_wait_duration(when - BootClock::now());
  }
};

/// Asio looks at the clock when such a wait is over, and goes on waiting if it was too short.
using BootTimer = boost::asio::basic_waitable_timer<BootClock, BootWait>;

}  // namespace locker::client
