// Tests that background work leaves the disk and the processors to others in between.

#include "persistence/pace.hpp"

#include <chrono>
#include <stop_token>
#include <vector>

#include <gtest/gtest.h>

#include "persistence/segment_preparer.hpp"
#include "persistence/snapshot_writer.hpp"
#include "tests/support/simulated_disk.hpp"

namespace locker::persistence {
namespace {

using namespace std::chrono_literals;

class PaceTest : public testing::Test {
 protected:
  PaceTest() { now_ = {}; }
  static std::chrono::steady_clock::time_point now() { return now_; }

  /// Does steps that together take this long.
  static void work(Pace& pace, std::chrono::microseconds time, int steps = 1'000) {
    for (int i = 0; i < steps; ++i) {
      now_ += time / steps;
      EXPECT_TRUE(pace.goes_on());
    }
  }
  void rest(std::chrono::nanoseconds time) {
    rests_.push_back(time);
    now_ += time;
  }
  [[nodiscard]] std::chrono::nanoseconds rested() const {
    std::chrono::nanoseconds sum{0};
    for (const auto time : rests_) sum += time;
    return sum;
  }

  static inline std::chrono::steady_clock::time_point now_;
  std::vector<std::chrono::nanoseconds> rests_;
};

TEST_F(PaceTest, RestsThreeTimesAsLongAsItWorks) {
  Pace pace{{}, [this](auto time) { rest(time); }, &now};
  work(pace, 10ms, 10'000);
  EXPECT_GE(rested(), 3 * (10ms - Pace::work_min - 64us));
  EXPECT_LE(rested(), 3 * 10ms);
  for (const auto time : rests_) {
    EXPECT_GE(time, 3 * Pace::work_min);
    EXPECT_LE(time, 3 * (Pace::work_min + 64us));
  }
}

TEST_F(PaceTest, AStepThatTookLongIsFollowedByALongRest) {
  Pace pace{{}, [this](auto time) { rest(time); }, &now};
  work(pace, 64ms, 64);
  EXPECT_EQ(rests_, std::vector<std::chrono::nanoseconds>{3 * 64ms});
}

// However long a sync hung, or the process was suspended.
TEST_F(PaceTest, NoRestIsEndless) {
  Pace pace{{}, [this](auto time) { rest(time); }, &now};
  work(pace, 1h, 64);
  EXPECT_EQ(rests_, std::vector<std::chrono::nanoseconds>{Pace::rest_max});
}

TEST_F(PaceTest, LittleWorkHasNoRest) {
  Pace pace{{}, [this](auto time) { rest(time); }, &now};
  work(pace, 199us, 199);
  EXPECT_TRUE(rests_.empty());
}

TEST_F(PaceTest, EndsWhenItIsTold) {
  std::stop_source stop;
  Pace pace{stop.get_token()};
  EXPECT_TRUE(pace.goes_on());
  EXPECT_FALSE(pace.is_stopped());
  stop.request_stop();
  EXPECT_FALSE(pace.goes_on());
  EXPECT_TRUE(pace.is_stopped());
}

constexpr std::uint64_t mebibyte = std::uint64_t{1} << 20U;

TEST(BackgroundWrites, ASnapshotIsSyncedAsItGrows) {
  test::SimulatedDisk disk;
  ASSERT_TRUE(disk.make_directory("store"));
  auto writer = SnapshotWriter::create(disk, "store", {.index = 1}, UINT64_MAX);
  ASSERT_TRUE(writer);
  core::Path path;
  ASSERT_EQ(path.push_back(std::string(200, 'a')), core::Path::Push::ok);
  for (std::uint64_t n = 1; writer->bytes() < 4 * mebibyte; ++n) {
    ASSERT_TRUE(writer->add(core::Granted{{}, {n, 0}, {}, "", path}));
  }
  Pace pace;
  ASSERT_TRUE(writer->publish(pace));
  EXPECT_LE(disk.most_unsynced(), mebibyte + snapshot_header_bytes);
}

TEST(BackgroundWrites, ASegmentIsSyncedAsItIsPrepared) {
  test::SimulatedDisk disk;
  ASSERT_TRUE(disk.make_directory("store"));
  ASSERT_TRUE(prepare_segment(disk, "store", {.bytes = 8 * mebibyte}, prepared_name));
  EXPECT_LE(disk.most_unsynced(), mebibyte);
}

}  // namespace
}  // namespace locker::persistence
