// Deferred answers: sent when their maker says so, in order, and not at all to clients that left.
#include "server/http/worker.hpp"
#include "tests/server/later_fixture.hpp"

namespace locker::server {
namespace {

using std::chrono::milliseconds;

class HttpPendingTest : public LaterTest {};

TEST_F(HttpPendingTest, AnAnswerIsFinishedLaterByAnotherThread) {
  start();
  RawClient one = client();
  ASSERT_TRUE(one.send(get("/pend")));
  const auto ticket = later_.ticket(0);
  EXPECT_EQ(client().ask(get("/other"))->body, "/other");  // the only thread is free
  EXPECT_FALSE(one.has_something());
  EXPECT_TRUE(ticket->wake());
  EXPECT_EQ(one.read_answer()->body, "/pend");
  EXPECT_EQ(one.ask(get("/next"))->body, "/next");
  EXPECT_EQ(ticket->finishes(), 1);
}

TEST_F(HttpPendingTest, AnAnswerMayBeFinishedWithinStart) {
  start();
  RawClient one = client();
  for (int i = 0; i < 100; ++i) EXPECT_EQ(one.ask(get("/instant"))->body, "/instant");
  ASSERT_TRUE(one.send(get("/instant") + get("/a") + get("/instant") + get("/instant")));
  EXPECT_EQ(one.read_answer()->body, "/instant");
  EXPECT_EQ(one.read_answer()->body, "/a");
  EXPECT_EQ(one.read_answer()->body, "/instant");
  EXPECT_EQ(one.read_answer()->body, "/instant");
}

TEST_F(HttpPendingTest, WhatCameBeforeIsNotHeldBackAndWhatComesAfterWaitsItsTurn) {
  start();
  RawClient one = client();
  ASSERT_TRUE(one.send(get("/write") + get("/pend") + get("/after") + get("/pend")));
  EXPECT_EQ(one.read_answer()->body, "1");
  ASSERT_TRUE(one.send(get("/later-still")));
  const auto ticket = later_.ticket(0);
  EXPECT_FALSE(one.has_something());
  EXPECT_EQ(later_.calls, 2);
  ticket->wake();
  EXPECT_EQ(one.read_answer()->body, "/pend");
  EXPECT_EQ(one.read_answer()->body, "/after");
  EXPECT_FALSE(one.has_something());
  later_.ticket(1)->wake();
  EXPECT_EQ(one.read_answer()->body, "/pend");
  EXPECT_EQ(one.read_answer()->body, "/later-still");
}

TEST_F(HttpPendingTest, ARequestThatCameInPiecesMeanwhileIsAnswered) {
  start();
  RawClient one = client();
  const std::string next = get("/next");
  for (std::size_t cut = 1; cut < next.size(); cut += 7) {
    const std::size_t number = cut / 7;
    ASSERT_TRUE(one.send(get("/pend") + next.substr(0, cut)));
    const auto ticket = later_.ticket(number);
    std::thread waking{[&] { ticket->wake(); }};
    ASSERT_TRUE(one.send(next.substr(cut)));
    EXPECT_EQ(one.read_answer()->body, "/pend");
    EXPECT_EQ(one.read_answer()->body, "/next");
    waking.join();
  }
}

TEST_F(HttpPendingTest, MoreThanTheBufferHoldsIsReadOnceItsTurnComes) {
  start();
  RawClient one = client();
  std::string requests = get("/pend");
  constexpr int further = 2000;
  for (int i = 0; i < further; ++i) requests += get("/x");
  ASSERT_TRUE(one.send(requests));
  later_.ticket(0)->wake();
  EXPECT_EQ(one.read_answer()->body, "/pend");
  for (int i = 0; i < further; ++i) ASSERT_EQ(one.read_answer()->body, "/x");
}

TEST_F(HttpPendingTest, WhoWaitsKeepsNoMemoryForTheBodyThatItSent) {
  start();
  const std::string whole =
      "PUT /pend HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n8000\r\n" +
      std::string(0x8000, 'b') + "\r\n0\r\n\r\n";
  const std::string next = get("/next");
  std::size_t number = 0;
  for (const std::size_t behind : {0, 1, 500}) {  // requests, and the first bytes of another
    RawClient one = client();
    ASSERT_TRUE(one.send(whole.substr(0, whole.size() - 1)));
    EXPECT_TRUE(eventually([&] { return server_->buffered() > 0x8000; }));
    std::string rest = "\n";
    for (std::size_t i = 0; i < behind; ++i) rest += next;
    ASSERT_TRUE(one.send(rest + next.substr(0, 5)));
    const auto ticket = later_.ticket(number++);
    EXPECT_TRUE(eventually([&] { return server_->buffered() == 0; }));
    ASSERT_TRUE(one.send(next.substr(5)));
    ticket->wake();
    EXPECT_EQ(one.read_answer()->status, 200);
    for (std::size_t i = 0; i <= behind; ++i) ASSERT_EQ(one.read_answer()->body, "/next");
  }
}

TEST_F(HttpPendingTest, AWakeWhileEarlierAnswersWaitForTheDiskIsRemembered) {
  options_.threads = 2;
  start();
  journal_.close_gate();
  RawClient one = client();
  ASSERT_TRUE(one.send(get("/write") + get("/instant") + get("/after")));
  journal_.wait_for_appends(1);
  EXPECT_FALSE(one.has_something());
  journal_.open_gate();
  EXPECT_EQ(one.read_answer()->body, "1");
  EXPECT_EQ(one.read_answer()->body, "/instant");
  EXPECT_EQ(one.read_answer()->body, "/after");
}

TEST_F(HttpPendingTest, AFinishedAnswerWaitsForItsIndex) {
  start();
  RawClient one = client();
  ASSERT_TRUE(one.send(get("/pwrite")));
  const auto ticket = later_.ticket(0);
  journal_.close_gate();
  ticket->wake();
  journal_.wait_for_appends(1);
  EXPECT_FALSE(one.has_something());
  journal_.open_gate();
  const auto answer = one.read_answer();
  ASSERT_TRUE(answer);
  EXPECT_EQ(answer->body, "1");
  EXPECT_EQ(answer->field("Locker-Index"), "1");
}

/// A finished answer waits for the disk, and the thread that serves connections does not.
class HttpPendingSlowDiskTest : public LaterTest {
 protected:
  void wait_for_the_disk(RawClient& one) {
    journal_.set_delay(10 * GroupCommit::slow_sync);
    ASSERT_TRUE(one.ask(get("/write")));  // shows that the disk is slow
    ASSERT_TRUE(one.send(get("/pwrite")));
    const auto ticket = later_.ticket(0);
    let_the_server_look();  // the session reads, to notice the client's end
    journal_.close_gate();
    ticket->wake();
    journal_.wait_for_appends(2);
  }
  /// Returns when the server has seen what was sent before.
  void let_the_server_look() {
    RawClient other = client();
    for (int i = 0; i < 3; ++i) ASSERT_TRUE(other.ask(get("/x")));
  }
};

TEST_F(HttpPendingSlowDiskTest, WhatComesMeanwhileIsAnswered) {
  start();
  RawClient one = client();
  wait_for_the_disk(one);
  ASSERT_TRUE(one.send(get("/next")));
  let_the_server_look();
  EXPECT_FALSE(one.has_something());
  journal_.open_gate();
  EXPECT_EQ(one.read_answer()->body, "2");
  EXPECT_EQ(one.read_answer()->body, "/next");
}

TEST_F(HttpPendingSlowDiskTest, WhoShutsDownItsSideMeanwhileGetsItsAnswer) {
  start();
  RawClient one = client();
  wait_for_the_disk(one);
  one.shut_down_sending();
  let_the_server_look();
  journal_.open_gate();
  EXPECT_EQ(one.read_answer()->body, "2");
  EXPECT_TRUE(one.is_at_end());
}

TEST_F(HttpPendingTest, HeadVersionAndConnectionAreThoseOfItsRequest) {
  start();
  RawClient one = client();
  ASSERT_TRUE(one.send("HEAD /pend HTTP/1.1\r\nHost: a\r\n\r\n"));
  later_.ticket(0)->wake();
  const auto head = one.read_answer(true);
  ASSERT_TRUE(head);
  EXPECT_EQ(head->field("Content-Length"), "5");
  EXPECT_FALSE(head->has_field("Connection"));
  ASSERT_TRUE(one.send("GET /pend HTTP/1.0\r\nConnection: keep-alive\r\n\r\n"));
  later_.ticket(1)->wake();
  EXPECT_EQ(one.read_answer()->field("Connection"), "keep-alive");
  ASSERT_TRUE(one.send(get("/pend", "Connection: close\r\n")));
  later_.ticket(2)->wake();
  EXPECT_EQ(one.read_answer()->field("Connection"), "close");
  EXPECT_TRUE(one.is_at_end());
}

TEST_F(HttpPendingTest, AFinishThatThrowsGets500AndItsDeliveryIsLost) {
  start();
  RawClient one = client();
  ASSERT_TRUE(one.send(get("/throws")));
  later_.ticket(0)->wake();
  const auto fault = one.read_answer();
  ASSERT_TRUE(fault);
  EXPECT_EQ(fault->status, 500);
  EXPECT_EQ(fault->field("Connection"), "close");
  EXPECT_TRUE(one.is_at_end());
  EXPECT_EQ(errors(), std::vector<std::string>{"finish() threw"});
  EXPECT_EQ(later_.deliveries.lost, 1);
}

TEST_F(HttpPendingTest, AClientThatLeavesIsNoticed) {
  start();
  RawClient closed = client();
  RawClient reset = client();
  RawClient shut_down = client();
  ASSERT_TRUE(closed.send(get("/pend")));
  const auto first = later_.ticket(0);
  ASSERT_TRUE(reset.send(get("/pend")));
  const auto second = later_.ticket(1);
  ASSERT_TRUE(shut_down.send(get("/pend") + get("/never")));
  const auto third = later_.ticket(2);
  closed.close();
  reset.reset();
  shut_down.shut_down_sending();
  EXPECT_TRUE(shut_down.is_at_end());
  EXPECT_TRUE(eventually([&] { return server_->connections() == 0; }));
  for (const auto& ticket : {first, second, third}) {
    EXPECT_TRUE(eventually([&] { return ticket->is_abandoned(); }));
    EXPECT_FALSE(ticket->wake());
    EXPECT_EQ(ticket->finishes(), 0);
  }
  EXPECT_EQ(later_.calls, 3);
}

TEST_F(HttpPendingTest, AClientThatLeavesWithMoreBehindThanTheBufferHoldsIsNoticed) {
  start();
  std::string requests = get("/pend");
  for (int i = 0; i < 300; ++i) requests += get("/never");
  RawClient closed = client();
  RawClient reset = client();
  ASSERT_TRUE(closed.send(requests));
  const auto first = later_.ticket(0);
  ASSERT_TRUE(reset.send(requests));
  const auto second = later_.ticket(1);
  std::this_thread::sleep_for(milliseconds{100});  // nothing ends for clients that stay
  EXPECT_FALSE(first->is_abandoned() || second->is_abandoned());
  closed.close();
  reset.reset();
  EXPECT_TRUE(eventually([&] { return server_->connections() == 0; }));
  EXPECT_TRUE(eventually([&] { return first->is_abandoned(); }));
  EXPECT_TRUE(eventually([&] { return second->is_abandoned(); }));
  EXPECT_EQ(later_.calls, 2);
}

TEST_F(HttpPendingTest, NoDeadlinePassesWhileAnAnswerIsPending) {
  options_.limits.idle = options_.limits.header = milliseconds{20};
  options_.limits.write_progress = milliseconds{20};
  start();
  RawClient one = client();
  ASSERT_TRUE(one.send(get("/pend") + "GET /begun"));
  std::this_thread::sleep_for(milliseconds{150});
  later_.ticket(0)->wake();
  EXPECT_EQ(one.read_answer()->body, "/pend");
  EXPECT_EQ(one.read_answer()->status, 408);  // counted from its turn
}

TEST_F(HttpPendingTest, AThousandAreWokenAtOnce) {
  options_.threads = 2;
  start();
  constexpr std::size_t count = 1000;
  std::vector<RawClient> clients;
  for (std::size_t i = 0; i < count; ++i) {
    clients.push_back(client());
    ASSERT_TRUE(clients.back().send(get("/pwrite")));
  }
  later_.ticket(count - 1);
  std::thread waking{[&] {
    for (std::size_t i = 0; i < count; ++i) later_.ticket(i)->wake();
  }};
  for (RawClient& each : clients) ASSERT_TRUE(each.read_answer());
  waking.join();
  EXPECT_EQ(journal_.records(), count);
}

TEST_F(HttpPendingTest, AWakeThatRacesWithTheClientsEndIsEitherAbandonedOrGivenBack) {
  options_.threads = 2;
  start();
  constexpr int rounds = 2000;
  int answered = 0;
  int abandoned = 0;
  for (int round = 0; round < rounds; ++round) {
    RawClient one = client();
    ASSERT_TRUE(one.send(get("/pend?deliver")));
    const auto ticket = later_.ticket(static_cast<std::size_t>(round));
    std::thread waking{[&] { ticket->wake() ? ++answered : ++abandoned; }};
    if (round % 2 == 0) {
      one.close();
    } else {
      one.reset();
    }
    waking.join();
  }
  EXPECT_TRUE(eventually([&] { return server_->connections() == 0; }));
  server_->stop();
  EXPECT_EQ(later_.deliveries.made, answered);
  EXPECT_EQ(later_.deliveries.ended, answered);
  EXPECT_EQ(answered + abandoned, rounds);
  for (std::size_t i = 0; i < rounds; ++i) {
    const auto ticket = later_.ticket(i);
    EXPECT_EQ(ticket->finishes(), ticket->is_abandoned() ? 0 : 1);
  }
}

TEST_F(HttpPendingTest, AStopAnswersThosePending) {
  start();
  RawClient one = client();
  RawClient before = client();
  ASSERT_TRUE(one.ask(get("/write")));
  ASSERT_TRUE(one.send(get("/pend") + get("/never")));
  const auto first = later_.ticket(0);
  ASSERT_TRUE(before.send(get("/x") + get("/pend")));
  const auto second = later_.ticket(1);
  EXPECT_TRUE(before.read_answer());
  server_->stop(milliseconds{600'000});
  for (RawClient* each : {&one, &before}) {
    const auto answer = each->read_answer();
    ASSERT_TRUE(answer);
    EXPECT_EQ(answer->status, 503);
    EXPECT_EQ(answer->field("Retry-After"), "1");
    EXPECT_EQ(answer->field("Connection"), "close");
    EXPECT_EQ(answer->field("Locker-Index"), "1");
    EXPECT_EQ(answer->body,
              R"({"error": "draining", "message": "The server is stopping; try again with the )"
              R"(same token when it is back."})");
    EXPECT_TRUE(each->is_at_end());
  }
  EXPECT_TRUE(first->is_abandoned());
  EXPECT_TRUE(second->is_abandoned());
}

TEST_F(HttpPendingTest, AStopSendsWhatCameBeforeAPendingAnswerFirst) {
  options_.threads = 2;
  start();
  journal_.close_gate();
  RawClient one = client();
  ASSERT_TRUE(one.send(get("/write") + get("/pend")));
  const auto ticket = later_.ticket(0);
  journal_.wait_for_appends(1);
  std::thread stopping{[&] { server_->stop(milliseconds{600'000}); }};
  journal_.open_gate();
  EXPECT_EQ(one.read_answer()->body, "1");
  EXPECT_EQ(one.read_answer()->status, 503);
  EXPECT_TRUE(one.is_at_end());
  stopping.join();
  EXPECT_TRUE(ticket->is_abandoned());
}

TEST_F(HttpPendingTest, WhoAsksWhileTheServerStopsDoesNotWait) {
  start();
  RawClient pending = client();
  RawClient stream = client();
  RawClient idle = client();
  for (RawClient* each : {&pending, &stream, &idle}) ASSERT_TRUE(each->ask(get("/x")));
  ASSERT_TRUE(pending.send("GET /pend HTT"));
  ASSERT_TRUE(stream.send("GET /stream HTT"));
  for (int i = 0; i < 3; ++i) ASSERT_TRUE(idle.ask(get("/x")));  // begun requests are read
  std::thread stopping{[&] { server_->stop(milliseconds{600'000}); }};
  EXPECT_TRUE(idle.is_at_end());
  const auto answer = pending.ask("P/1.1\r\nHost: a\r\n\r\n");
  ASSERT_TRUE(answer);
  EXPECT_EQ(answer->status, 503);
  EXPECT_TRUE(pending.is_at_end());
  ASSERT_TRUE(stream.send("P/1.1\r\nHost: a\r\n\r\n"));
  ASSERT_TRUE(stream.read_answer(true));
  EXPECT_TRUE(stream.is_at_end());
  stopping.join();
  EXPECT_TRUE(later_.ticket(0)->is_abandoned());
}

TEST_F(HttpPendingTest, AnAnswerThatWasWokenBeforeTheStopIsSent) {
  start();
  RawClient one = client();
  ASSERT_TRUE(one.send(get("/pend")));
  later_.ticket(0)->wake();
  server_->stop(milliseconds{600'000});
  const auto answer = one.read_answer();
  ASSERT_TRUE(answer);
  EXPECT_EQ(answer->body, "/pend");
  EXPECT_TRUE(one.is_at_end());
}

TEST_F(HttpPendingTest, TheAccessHookIsToldWhenTheAnswerIsThere) {
  std::mutex mutex;
  std::vector<std::string> lines;
  options_.hooks.access = [&](const AccessEntry& entry) {
    const std::lock_guard lock{mutex};
    lines.push_back(std::string{entry.method} + ' ' + std::string{entry.path} + ' ' +
                    std::to_string(entry.status));
  };
  start();
  RawClient one = client();
  ASSERT_TRUE(one.send("LOCK /pend?token=secret HTTP/1.1\r\nHost: a\r\n\r\n" + get("/next")));
  const auto ticket = later_.ticket(0);
  {
    const std::lock_guard lock{mutex};
    EXPECT_TRUE(lines.empty());
  }
  ticket->wake();
  ASSERT_TRUE(one.read_answer());
  ASSERT_TRUE(one.read_answer());
  ASSERT_TRUE(one.send(get("/pend")));
  later_.ticket(1);
  server_->stop();
  EXPECT_EQ(lines, (std::vector<std::string>{"LOCK /pend 200", "GET /next 200", "GET /pend 503"}));
}

/// A worker on the test's own thread, to be stopped at chosen moments.
class PendingWorkerTest : public testing::Test {
 protected:
  PendingWorkerTest() {
    Acceptor acceptor{io_context_.get_executor(), {net::ip::address_v4::loopback(), 0}};
    one_.connect(acceptor.local_endpoint().port());
    worker_->adopt(acceptor.accept());
  }
  void ask(std::string_view target) {
    const int calls = later_.calls;
    ASSERT_TRUE(one_.send(get(target)));
    while (later_.calls == calls) io_context_.run_one();
  }

  test::GatedJournal journal_;
  GroupCommit commit_{journal_, 0, [](const core::Fault&) {}};
  LaterHandler later_{commit_};
  net::io_context io_context_{1};
  std::unique_ptr<Worker> worker_ =
      std::make_unique<Worker>(io_context_, later_, commit_, Worker::Options{});
  RawClient one_;
};

TEST_F(PendingWorkerTest, ADestroyedWorkerHasAbandonedWhatIsPending) {
  ask("/pend?deliver");
  worker_.reset();
  EXPECT_TRUE(later_.ticket(0)->is_abandoned());
  EXPECT_EQ(later_.deliveries.made, 0);
}

TEST_F(PendingWorkerTest, ADestroyedWorkerTakesTheWakesThatWereUnderWay) {
  ask("/pend?deliver");
  EXPECT_TRUE(later_.ticket(0)->wake());
  worker_.reset();
  EXPECT_EQ(later_.ticket(0)->finishes(), 1);
  EXPECT_EQ(later_.deliveries.lost, 1);
  EXPECT_EQ(later_.deliveries.ended, 1);
}

TEST_F(PendingWorkerTest, ADestroyedWorkerLosesWhatWaitsForTheDisk) {
  ask("/a-long-answer-that-was-sent-before/" + std::string(1000, 'x'));
  while (!one_.has_something()) io_context_.run_one();
  ask("/write?deliver");
  worker_.reset();
  EXPECT_EQ(later_.deliveries.lost, 1);
  EXPECT_TRUE(commit_.is_durable(1));
}

TEST_F(PendingWorkerTest, AWakeMayRaceWithTheWorkersEnd) {
  for (std::size_t round = 0; round < 300; ++round) {
    auto [one, worker] = [&] {
      Acceptor acceptor{io_context_.get_executor(), {net::ip::address_v4::loopback(), 0}};
      RawClient connected{acceptor.local_endpoint().port()};
      auto made = std::make_unique<Worker>(io_context_, later_, commit_, Worker::Options{});
      made->adopt(acceptor.accept());
      return std::pair{std::move(connected), std::move(made)};
    }();
    ASSERT_TRUE(one.send(get("/pend?deliver")));
    while (later_.calls == static_cast<int>(round)) io_context_.run_one();
    const auto ticket = later_.ticket(round);
    std::thread waking{[&] { ticket->wake(); }};
    worker.reset();
    waking.join();
    EXPECT_EQ(ticket->finishes(), ticket->is_abandoned() ? 0 : 1);
  }
  EXPECT_EQ(later_.deliveries.made, later_.deliveries.lost);
  EXPECT_EQ(later_.deliveries.made, later_.deliveries.ended);
}

}  // namespace
}  // namespace locker::server
