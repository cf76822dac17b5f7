// What cannot be delivered is undone, once.
#include "tests/server/later_fixture.hpp"

namespace locker::server {
namespace {

using std::chrono::milliseconds;

class HttpDeliveryTest : public LaterTest {
 protected:
  [[nodiscard]] bool all_ended(int made) {
    return eventually([&] { return later_.deliveries.ended == made; });
  }
};

TEST_F(HttpDeliveryTest, WhatWasSentIsNotLost) {
  start();
  RawClient one = client();
  ASSERT_TRUE(one.send(get("/deliver") + get("/deliver") + get("/x") + get("/pend?deliver") +
                       get("/deliver")));
  later_.ticket(0)->wake();
  for (int i = 0; i < 5; ++i) ASSERT_TRUE(one.read_answer());
  EXPECT_TRUE(all_ended(4));
  one.reset();
  EXPECT_TRUE(eventually([&] { return server_->connections() == 0; }));
  EXPECT_EQ(later_.deliveries.lost, 0);
}

TEST_F(HttpDeliveryTest, WhoLeftWhileTheDiskWasAtWorkGetsNothing) {
  options_.threads = 2;
  start();
  journal_.close_gate();
  RawClient one = client();
  ASSERT_TRUE(one.send(get("/write?deliver") + get("/deliver")));
  journal_.wait_for_appends(1);
  one.reset();
  // The kernel takes answers to a client that left without a reset; a reset makes the write fail.
  std::this_thread::sleep_for(milliseconds{20});
  EXPECT_EQ(later_.deliveries.ended, 0);
  journal_.open_gate();
  EXPECT_TRUE(all_ended(2));
  EXPECT_EQ(later_.deliveries.lost, 2);
}

TEST_F(HttpDeliveryTest, WhoWaitedAndShutsDownItsSideWhileTheDiskIsAtWorkGetsNothing) {
  options_.threads = 2;
  start();
  journal_.close_gate();
  RawClient one = client();
  ASSERT_TRUE(one.send(get("/pwrite?deliver")));
  later_.ticket(0)->wake();
  journal_.wait_for_appends(1);
  one.shut_down_sending();
  std::this_thread::sleep_for(milliseconds{20});
  EXPECT_EQ(later_.deliveries.ended, 0);
  journal_.open_gate();
  EXPECT_TRUE(all_ended(1));
  EXPECT_EQ(later_.deliveries.lost, 1);
  EXPECT_TRUE(one.is_at_end());
}

TEST_F(HttpDeliveryTest, WhoDidNotWaitMayShutDownItsSide) {
  options_.threads = 2;
  start();
  journal_.close_gate();
  RawClient one = client();
  ASSERT_TRUE(one.send(get("/write?deliver") + get("/deliver")));
  journal_.wait_for_appends(1);
  one.shut_down_sending();
  std::this_thread::sleep_for(milliseconds{20});
  journal_.open_gate();
  EXPECT_TRUE(one.read_answer());
  EXPECT_TRUE(one.read_answer());
  EXPECT_TRUE(all_ended(2));
  EXPECT_EQ(later_.deliveries.lost, 0);
}

TEST_F(HttpDeliveryTest, WhoLeftBeforeAPendingAnswerCameGetsItTakenBack) {
  start();
  journal_.close_gate();
  RawClient one = client();
  ASSERT_TRUE(one.send(get("/pend?deliver")));
  const auto ticket = later_.ticket(0);
  // Hold the only thread, so that it finds both the client's end and the wake when it goes on.
  RawClient holding = client();
  ASSERT_TRUE(holding.send(get("/write")));
  journal_.wait_for_appends(1);
  one.reset();
  EXPECT_TRUE(ticket->wake());
  journal_.open_gate();
  EXPECT_TRUE(all_ended(1));
  EXPECT_EQ(later_.deliveries.lost, 1);
  EXPECT_EQ(ticket->finishes(), 1);
}

TEST_F(HttpDeliveryTest, AnAnswerThatOnlyPartlyLeftIsLostAndThoseBeforeAreNot) {
  options_.limits.write_progress = milliseconds{50};
  start();
  RawClient one = client();
  ASSERT_TRUE(one.send(get("/deliver") + get("/big") + get("/x")));
  EXPECT_TRUE(all_ended(2));
  EXPECT_EQ(later_.deliveries.made, 2);
  EXPECT_EQ(later_.deliveries.lost, 1);
}

TEST_F(HttpDeliveryTest, AStopLosesWhatIsNotTakenWithinTheGrace) {
  start();
  RawClient one = client();
  ASSERT_TRUE(one.send(get("/big")));
  ASSERT_TRUE(eventually([&] { return later_.deliveries.made == 1; }));
  server_->stop(milliseconds{20});
  EXPECT_EQ(later_.deliveries.lost, 1);
  EXPECT_EQ(later_.deliveries.ended, 1);
}

}  // namespace
}  // namespace locker::server
