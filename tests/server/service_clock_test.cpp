#include "server/service/service_clock.hpp"

#include <gtest/gtest.h>

namespace locker::server {
namespace {

using std::chrono::milliseconds;

/// Reads the clock at times since its start, and returns how long it has been serving by then.
class ServiceClockTest : public testing::Test {
 protected:
  core::Duration read_at(milliseconds time, milliseconds disk_stood_still = milliseconds{0}) {
    return clock_.read(began_ + time, disk_stood_still).time_since_epoch();
  }

  const ServiceClock::Steady::time_point began_{std::chrono::hours{1}};
  ServiceClock clock_{began_};
};

TEST_F(ServiceClockTest, ReadOftenItIsTheTimeSinceTheStart) {
  for (milliseconds time{0}; time < milliseconds{5'000}; time += ServiceClock::read_every) {
    EXPECT_EQ(read_at(time), time);
  }
  EXPECT_EQ(read_at(milliseconds{5'200}), milliseconds{5'200});  // this read was late
}

TEST_F(ServiceClockTest, AGapInWhichTheProcessWasStoppedIsLeftOut) {
  EXPECT_EQ(read_at(milliseconds{100}), milliseconds{100});
  EXPECT_EQ(read_at(milliseconds{60'100}), milliseconds{200});
  EXPECT_EQ(read_at(milliseconds{60'200}), milliseconds{300});
}

TEST_F(ServiceClockTest, SoIsTheTimeInWhichTheDiskStoodStill) {
  EXPECT_EQ(read_at(milliseconds{100}), milliseconds{100});
  EXPECT_EQ(read_at(milliseconds{200}, milliseconds{0}), milliseconds{200});
  EXPECT_EQ(read_at(milliseconds{300}, milliseconds{50}), milliseconds{250});
  EXPECT_EQ(read_at(milliseconds{400}, milliseconds{150}), milliseconds{250});
  EXPECT_EQ(read_at(milliseconds{500}, milliseconds{150}), milliseconds{350});
}

TEST_F(ServiceClockTest, WhatTheDiskStoodStillIsNoGapBesides) {
  EXPECT_EQ(read_at(milliseconds{100}), milliseconds{100});
  EXPECT_EQ(read_at(milliseconds{10'100}, milliseconds{9'900}), milliseconds{200});
  EXPECT_EQ(read_at(milliseconds{20'100}, milliseconds{14'900}), milliseconds{300});
}

TEST_F(ServiceClockTest, OnceStoppedItStandsStill) {
  EXPECT_EQ(read_at(milliseconds{100}), milliseconds{100});
  clock_.stop();
  EXPECT_EQ(read_at(milliseconds{200}), milliseconds{100});
  EXPECT_EQ(read_at(milliseconds{1'000}, milliseconds{400}), milliseconds{100});
  EXPECT_EQ(read_at(milliseconds{60'000}, milliseconds{400}), milliseconds{100});
}

}  // namespace
}  // namespace locker::server
