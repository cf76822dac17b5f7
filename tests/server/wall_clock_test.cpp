#include "server/service/wall_clock.hpp"

#include <gtest/gtest.h>

namespace locker::server {
namespace {

using Clock = std::chrono::system_clock;
using std::chrono::sys_days;
using std::chrono::year;

TEST(WallClock, FencesAreMadeOfAClockThatCanBeRight) {
  EXPECT_EQ(wall_for_fences(Clock::time_point{std::chrono::microseconds{1'795'606'390'412'077}}),
            1'795'606'390'412'077U);
  EXPECT_EQ(wall_for_fences(sys_days{year{2020} / 1 / 1}), 1'577'836'800'000'000U);
  const Clock::time_point end = sys_days{year{2200} / 1 / 1};
  EXPECT_LT(wall_for_fences(end - std::chrono::seconds{1}), core::Fence{1} << 53U);
}

TEST(WallClock, NoneIsMadeOfOneThatCannot) {
  for (const int wrong : {1900, 1960, 1970, 2019, 2200, 2261}) {
    EXPECT_EQ(wall_for_fences(sys_days{year{wrong} / 12 / 31}), 0U) << wrong;
  }
}

}  // namespace
}  // namespace locker::server
