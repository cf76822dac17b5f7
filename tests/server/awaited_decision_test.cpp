#include "server/service/awaited_decision.hpp"

#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <thread>

#include "tests/server/counted_waker.hpp"

namespace locker::server {
namespace {

TEST(AwaitedDecision, OneThatComesLaterWakes) {
  AwaitedDecision<std::string> awaited;
  CountedWaker waker;
  EXPECT_FALSE(awaited.is_started());
  awaited.start(waker);
  EXPECT_TRUE(awaited.is_started());
  EXPECT_EQ(waker.wakes, 0);
  awaited.decide("granted");
  EXPECT_EQ(waker.wakes, 1);
  EXPECT_EQ(awaited.decision(), "granted");
}

TEST(AwaitedDecision, OneThatWasThereBeforeWakesAtOnce) {
  AwaitedDecision<std::string> awaited;
  CountedWaker waker;
  awaited.decide("blocked");
  EXPECT_FALSE(awaited.is_started());
  awaited.start(waker);
  EXPECT_EQ(waker.wakes, 1);
  EXPECT_EQ(awaited.decision(), "blocked");
}

TEST(AwaitedDecision, WhicheverComesFirstItWakesOnceAndCanBeDestroyedThen) {
  for (int i = 0; i < 2'000; ++i) {
    auto awaited = std::make_unique<AwaitedDecision<int>>();
    CountedWaker waker;
    std::thread deciding{[&awaited = *awaited, i] { awaited.decide(i); }};
    awaited->start(waker);
    waker.wakes.wait(0);
    EXPECT_EQ(awaited->decision(), i);
    awaited.reset();
    deciding.join();
    EXPECT_EQ(waker.wakes, 1);
  }
}

}  // namespace
}  // namespace locker::server
