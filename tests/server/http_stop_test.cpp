// A graceful shutdown loses nothing that was asked, and ends.
#include "tests/server/http_fixture.hpp"

namespace locker::server {
namespace {

using std::chrono::milliseconds;

class HttpStopTest : public HttpTest {
 protected:
  HttpStopTest() { options_.limits.tick = milliseconds{10}; }
  /// Returns when stop() has taken effect on the open connections.
  std::thread begin_to_stop(RawClient& idle, milliseconds grace) {
    std::thread stopping{[this, grace] { server_->stop(grace); }};
    EXPECT_TRUE(idle.is_at_end());
    return stopping;
  }
};

constexpr milliseconds long_grace{600'000};

TEST_F(HttpStopTest, IdleConnectionsAreClosedAndBegunRequestsAnsweredAsTheLast) {
  start();
  RawClient idle = client();
  ASSERT_TRUE(idle.ask(get("/")));
  RawClient begun = client();
  ASSERT_TRUE(begun.ask(get("/")));
  ASSERT_TRUE(begun.send("GET /begun HTTP/1.1\r\nHo"));
  ASSERT_TRUE(idle.ask(get("/")));
  ASSERT_TRUE(idle.ask(get("/")));  // by now the server has read the begun request
  std::thread stopping = begin_to_stop(idle, long_grace);
  const auto answer = begun.ask("st: a\r\n\r\n");
  ASSERT_TRUE(answer);
  EXPECT_EQ(answer->body, "GET /begun ");
  EXPECT_EQ(answer->field("Connection"), "close");
  EXPECT_TRUE(begun.is_at_end());
  stopping.join();
}

TEST_F(HttpStopTest, WhatWaitsForTheDiskIsAnswered) {
  start();
  journal_.close_gate();
  RawClient one = client();
  ASSERT_TRUE(one.send(get("/write")));
  journal_.wait_for_appends(1);
  std::thread stopping{[&] { server_->stop(long_grace); }};
  journal_.open_gate();
  EXPECT_EQ(one.read_answer()->body, "1");
  stopping.join();
  EXPECT_TRUE(one.is_at_end());
}

TEST_F(HttpStopTest, WhoConnectedAndAskedBeforeTheStopIsAnswered) {
  start();
  journal_.close_gate();
  RawClient one = client();
  ASSERT_TRUE(one.send(get("/write")));
  journal_.wait_for_appends(1);
  // The only thread is held, so these are in the backlog when the stop comes.
  std::vector<RawClient> later;
  for (int i = 0; i < 100; ++i) {
    later.push_back(client());
    ASSERT_TRUE(later.back().send(get("/later-one")));
  }
  std::thread stopping{[&] { server_->stop(long_grace); }};
  journal_.open_gate();
  EXPECT_TRUE(one.read_answer());
  for (RawClient& each : later) EXPECT_TRUE(each.read_answer());
  stopping.join();
}

TEST_F(HttpStopTest, AfterTheGraceEverybodyIsClosed) {
  start();
  RawClient begun = client();
  ASSERT_TRUE(begun.send("GET / HTTP/1.1\r\n"));
  RawClient unread = client();
  ASSERT_TRUE(unread.send(get("/big/30000000")));
  ASSERT_TRUE(eventually([&] { return handler_.calls == 1; }));
  server_->stop(milliseconds{50});
  EXPECT_EQ(server_->connections(), 0U);
  EXPECT_EQ(begun.read_to_end(), "");
}

TEST_F(HttpStopTest, WhoConnectedAndAsksNothingDoesNotHoldUpTheStop) {
  options_.limits.drain_first_byte = milliseconds{20};
  start();
  RawClient silent = client();
  ASSERT_TRUE(eventually([&] { return server_->connections() == 1; }));
  server_->stop(long_grace);
  EXPECT_TRUE(silent.is_at_end());
}

TEST_F(HttpStopTest, UnderLoadEveryRequestGetsItsAnswerOrFindsTheConnectionClosed) {
  options_.threads = 2;
  start();
  std::atomic<int> writes = 0;
  std::vector<std::thread> threads;
  for (int i = 0; i < 8; ++i) {
    threads.emplace_back([&] {
      RawClient one = client();
      while (const auto answer = one.ask(get("/write"))) {
        ++writes;
        if (answer->field("Connection") == "close") return;
      }
    });
  }
  ASSERT_TRUE(eventually([&] { return writes > 500; }));
  server_->stop(long_grace);
  for (std::thread& thread : threads) thread.join();
  // Every write got its answer.
  EXPECT_EQ(journal_.records(), static_cast<std::uint64_t>(writes));
}

TEST_F(HttpStopTest, StoppingTwiceOrNeverHavingStartedIsFine) {
  start();
  server_->stop();
  server_->stop();
  HttpServer never{handler_, commit_, options_};
  never.stop();
}

TEST_F(HttpStopTest, ADestroyedServerClosesItsConnections) {
  options_.threads = 2;
  start();
  RawClient begun = client();
  ASSERT_TRUE(begun.send("GET / HTTP/1.1\r\n"));
  RawClient idle = client();
  ASSERT_TRUE(idle.ask(get("/")));
  server_.reset();
  EXPECT_EQ(begun.read_to_end(), "");
  EXPECT_EQ(idle.read_to_end(), "");
}

}  // namespace
}  // namespace locker::server
