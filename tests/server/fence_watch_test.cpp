#include "server/program/fence_watch.hpp"

#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "server/service/wall_clock.hpp"

namespace locker::server {
namespace {

using namespace std::chrono_literals;

class FenceWatchTest : public testing::Test {
 protected:
  static constexpr std::chrono::system_clock::time_point now =
      std::chrono::sys_days{std::chrono::year{2026} / 11 / 29};

  /// Looks with a clock that is `ahead` of the last fence, or behind it.
  void look(std::chrono::seconds ahead) { watch_.look(wall_for_fences(now), now + ahead); }

  std::vector<std::string> told_;
  FenceWatch watch_{[this](std::string_view text) { told_.emplace_back(text); }};
};

TEST_F(FenceWatchTest, AClockThatIsRightIsNotToldOf) {
  for (const auto ahead : {0s, 3600s, -1s, -10s}) look(ahead);
  watch_.look(0, now);
  EXPECT_TRUE(told_.empty());
}

TEST_F(FenceWatchTest, FencesThatAreAheadAreToldOfOnceUntilTheyAreNotAnyMore) {
  for (const auto ahead : {-3600s, -3599s, -11s}) look(ahead);
  ASSERT_EQ(told_.size(), 1U);
  EXPECT_TRUE(told_[0].starts_with("fences are ahead of the clock by 3600 s,")) << told_[0];
  look(0s);
  look(-60s);
  ASSERT_EQ(told_.size(), 2U);
  EXPECT_TRUE(told_[1].starts_with("fences are ahead of the clock by 60 s,")) << told_[1];
}

// Such a clock makes no fences, which is reported at the start.
TEST_F(FenceWatchTest, OneThatCannotBeRightIsNotToldOf) {
  watch_.look(wall_for_fences(now), std::chrono::sys_days{std::chrono::year{1970} / 1 / 1});
  EXPECT_TRUE(told_.empty());
}

}  // namespace
}  // namespace locker::server
