// Slow clients. Each test waits for what must happen, however long it takes.
#include <numeric>

#include "tests/server/http_fixture.hpp"

namespace locker::server {
namespace {

using std::chrono::milliseconds;

class HttpTimerTest : public HttpTest {
 protected:
  HttpTimerTest() {
    // Only the limit under test is short.
    const milliseconds never{600'000};
    HttpLimits& limits = options_.limits;
    limits.tick = milliseconds{10};
    limits.first_byte = limits.header = limits.body = never;
    limits.write_progress = limits.idle = limits.linger = never;
  }
};

TEST_F(HttpTimerTest, AConnectionThatSendsNothingIsClosedWithoutAnAnswer) {
  options_.limits.first_byte = milliseconds{50};
  start();
  EXPECT_TRUE(client().is_at_end());
}

TEST_F(HttpTimerTest, AnIdleConnectionIsClosedWithoutAnAnswer) {
  options_.limits.idle = milliseconds{50};
  start();
  RawClient one = client();
  EXPECT_TRUE(one.ask(get("/")));
  EXPECT_TRUE(one.is_at_end());
}

TEST_F(HttpTimerTest, AHeaderThatDoesNotEndGets408AlthoughBytesGoOnComing) {
  // Much longer than the pauses below, even on a slow machine: they must not be what ends it.
  options_.limits.header = milliseconds{1'000};
  start();
  RawClient one = client();
  ASSERT_TRUE(one.send(get("/a") + "GET / HTTP/1.1\r\nHost: a\r\nX: "));
  EXPECT_EQ(one.read_answer()->body, "GET /a ");
  while (!one.has_something()) {
    ASSERT_TRUE(one.send("x"));
    std::this_thread::sleep_for(milliseconds{5});
  }
  const auto answer = one.read_answer();
  ASSERT_TRUE(answer);
  EXPECT_EQ(answer->status, 408);
  EXPECT_EQ(answer->field("Connection"), "close");
  EXPECT_TRUE(one.is_at_end());
}

TEST_F(HttpTimerTest, EachHeaderHasTheWholeTimeAlthoughItBeginsWithTheEndOfAnother) {
  options_.limits.header = milliseconds{1'000};
  start();
  const std::string request = get("/a");
  const std::string begin = request.substr(0, 9);
  const auto now = [] { return std::chrono::steady_clock::now(); };
  // If this thread is held up for so long that a 408 is right, everything begins anew.
  for (bool is_over = false; !is_over;) {
    RawClient one = client();
    ASSERT_TRUE(one.send(begin));
    const auto end = now() + 2 * options_.limits.header;
    for (auto sent = now(); !is_over && now() - sent < options_.limits.header / 2;) {
      sent = now();
      ASSERT_TRUE(one.send(request.substr(begin.size()) + begin));
      const auto answer = one.read_answer();
      if (now() - sent >= options_.limits.header / 2) break;
      ASSERT_TRUE(answer);
      ASSERT_EQ(answer->status, 200);
      std::this_thread::sleep_for(milliseconds{5});
      is_over = now() >= end;
    }
  }
}

TEST_F(HttpTimerTest, ABodyThatDoesNotEndGets408) {
  options_.limits.body = milliseconds{50};
  start();
  RawClient one = client();
  ASSERT_TRUE(one.send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\nhalf"));
  EXPECT_EQ(one.read_answer()->status, 408);
  EXPECT_TRUE(one.is_at_end());
}

TEST_F(HttpTimerTest, AnAnswerToWhoDidNotAskInTimeIsInTheDurationsToo) {
  HttpMetrics metrics;
  options_.metrics = &metrics;
  options_.limits.header = options_.limits.over_limit = milliseconds{50};
  options_.connections_max = options_.limits.heard_max = 1;
  start();
  RawClient slow = client();
  ASSERT_TRUE(slow.send("GET / HTTP/1.1\r\n"));
  EXPECT_EQ(slow.read_answer()->status, 408);
  RawClient silent = client();
  RawClient not_heard = client();
  EXPECT_EQ(not_heard.read_answer()->status, 503);
  EXPECT_EQ(silent.read_answer()->status, 503);
  const auto durations = [&] {
    return metrics.totals().durations[index_of(CallKind::unreadable)].counts;
  };
  EXPECT_TRUE(eventually([&] {
    const auto counts = durations();
    return std::accumulate(counts.begin(), counts.end(), 0U) == 3;
  }));
  EXPECT_EQ(durations().back(), 0U) << "half a minute and more";
  server_.reset();
}

TEST_F(HttpTimerTest, AClientThatTakesNoByteOfItsAnswerIsClosed) {
  options_.limits.write_progress = milliseconds{50};
  start();
  RawClient one = client();
  ASSERT_TRUE(one.send(get("/big/30000000")));
  EXPECT_TRUE(eventually([&] { return handler_.calls == 1 && server_->connections() == 0; }));
  // An orderly close would come after bytes that the kernel keeps until the client takes them.
  EXPECT_TRUE(eventually([&] { return one.is_reset(); }));
  EXPECT_LT(one.read_to_end().size(), 30'000'000U);
}

TEST_F(HttpTimerTest, AClientThatStaysAfterARefusalIsClosed) {
  options_.limits.linger = milliseconds{50};
  start();
  RawClient one = client();
  ASSERT_TRUE(one.send("nonsense\r\n\r\n"));
  EXPECT_EQ(one.read_answer()->status, 400);
  EXPECT_TRUE(eventually([&] { return server_->connections() == 0; }));
}

TEST_F(HttpTimerTest, AClientThatSendsOnAfterARefusalIsClosedAfterABoundedAmount) {
  start();
  RawClient one = client();
  ASSERT_TRUE(one.send("nonsense\r\n\r\n"));
  EXPECT_TRUE(eventually([&] { return !one.send(std::string(4096, 'x')); }));
  EXPECT_TRUE(eventually([&] { return server_->connections() == 0; }));
}

TEST_F(HttpTimerTest, WhatWaitsForTheDiskIsNotTimedOut) {
  options_.limits.header = options_.limits.idle = milliseconds{20};
  options_.threads = 2;
  start();
  journal_.close_gate();
  RawClient one = client();
  ASSERT_TRUE(one.send(get("/write")));
  journal_.wait_for_appends(1);
  std::this_thread::sleep_for(milliseconds{100});
  EXPECT_FALSE(one.has_something());
  journal_.open_gate();
  EXPECT_EQ(one.read_answer()->body, "1");
}

}  // namespace
}  // namespace locker::server
