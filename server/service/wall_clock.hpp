#pragma once

#include <chrono>

#include "core/lock.hpp"

namespace locker::server {

/// Returns the microseconds since 1970 that fences are made of. Zero if the clock cannot be right,
/// before 2020 or from 2200 on: a single fence from such a clock would be the lower bound for ever,
/// even once the clock is right again, and a time before 1970 has no number below 2^53.
[[nodiscard]] constexpr core::Fence wall_for_fences(std::chrono::system_clock::time_point now) {
  using std::chrono::sys_days;
  using std::chrono::year;
  constexpr std::chrono::system_clock::time_point first = sys_days{year{2020} / 1 / 1};
  constexpr std::chrono::system_clock::time_point end = sys_days{year{2200} / 1 / 1};
  if (now < first || now >= end) return 0;
  const auto since_1970 =
      std::chrono::duration_cast<std::chrono::microseconds>(now.time_since_epoch());
  return static_cast<core::Fence>(since_1970.count());
}

}  // namespace locker::server
