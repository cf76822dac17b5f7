// Answers wait for their index, whichever thread commits it.
#include <numeric>
#include <system_error>

#include "tests/server/http_fixture.hpp"
#include "tests/support/no_more_threads.hpp"

namespace locker::server {
namespace {

class HttpDurabilityTest : public HttpTest {};

TEST_F(HttpDurabilityTest, AnAnswerWithAnIndexDoesNotLeaveBeforeItIsDurable) {
  start();
  journal_.close_gate();
  RawClient one = client();
  ASSERT_TRUE(one.send(get("/before") + get("/write") + get("/after")));
  journal_.wait_for_appends(1);
  // The round was over when the commit began: an answer sent too early would be here.
  EXPECT_FALSE(one.has_something());
  journal_.open_gate();
  EXPECT_EQ(one.read_answer()->body, "GET /before ");
  EXPECT_EQ(one.read_answer()->body, "1");
  EXPECT_EQ(one.read_answer()->body, "GET /after ");
}

TEST_F(HttpDurabilityTest, ConnectionsThatAreReadyTogetherShareACommit) {
  start();
  std::vector<RawClient> clients;
  for (int i = 0; i < 20; ++i) {
    clients.push_back(client());
    ASSERT_TRUE(clients.back().ask(get("/")));
  }
  journal_.close_gate();
  ASSERT_TRUE(clients[0].send(get("/write")));
  journal_.wait_for_appends(1);  // the only thread is held, so the others pile up
  for (std::size_t i = 1; i < clients.size(); ++i) ASSERT_TRUE(clients[i].send(get("/write")));
  journal_.open_gate();
  for (RawClient& each : clients) EXPECT_TRUE(each.read_answer());
  EXPECT_EQ(journal_.records(), 20U);
  SizeHistogram::Counts batches;
  commit_.measured().records.add_to(batches);
  EXPECT_LE(std::accumulate(batches.counts.begin(), batches.counts.end(), std::uint64_t{0}), 3U);
}

TEST_F(HttpDurabilityTest, AClientThatLeavesWhileItWaitsDoesNoHarm) {
  options_.threads = 2;
  start();
  journal_.close_gate();
  {
    RawClient one = client();
    ASSERT_TRUE(one.send(get("/write")));
    journal_.wait_for_appends(1);
  }
  journal_.open_gate();
  EXPECT_TRUE(eventually([&] { return server_->connections() == 0; }));
  EXPECT_EQ(client().ask(get("/write"))->body, "2");
}

TEST_F(HttpDurabilityTest, OnASlowDiskAnswersComeAlsoWhenThereIsNoThreadForIt) {
  start();
  journal_.set_delay(10 * GroupCommit::slow_sync);
  const test::NoMoreThreads no_more_threads;
  EXPECT_THROW(std::thread{[] {}}, std::system_error);
  RawClient one = client();
  for (int i = 1; i <= 4; ++i) {
    const auto answer = one.ask(get("/write"));
    ASSERT_TRUE(answer);
    EXPECT_EQ(answer->body, std::to_string(i));
  }
  EXPECT_TRUE(errors().empty());
}

TEST_F(HttpDurabilityTest, ABlockingCallersCommitLeavesNoConnectionWaiting) {
  start();
  RawClient asker = client();
  ASSERT_TRUE(asker.ask(get("/")));
  journal_.close_gate();
  std::thread blocking{[&] {
    Index index = 0;
    {
      const std::lock_guard lock{commit_.mutex()};
      index = commit_.add(core::Ended{{}, {1, 0}, core::End::released});
    }
    commit_.commit_until(index);
  }};
  journal_.wait_for_appends(1);
  RawClient one = client();
  ASSERT_TRUE(one.send(get("/write")));
  ASSERT_TRUE(eventually([&] { return handler_.calls == 2; }));
  // By the second of these the worker has tried to commit and found that a commit is under way.
  ASSERT_TRUE(asker.ask(get("/")));
  ASSERT_TRUE(asker.ask(get("/")));
  EXPECT_FALSE(one.has_something());
  journal_.open_gate();
  EXPECT_TRUE(one.read_answer());
  blocking.join();
}

TEST_F(HttpDurabilityTest, OnASlowDiskQueriesDoNotWaitForASync) {
  start();
  journal_.set_delay(10 * GroupCommit::slow_sync);
  RawClient writer = client();
  ASSERT_TRUE(writer.ask(get("/write")));  // shows that the disk is slow
  journal_.close_gate();
  ASSERT_TRUE(writer.send(get("/write")));
  journal_.wait_for_appends(2);
  RawClient asker = client();
  EXPECT_TRUE(asker.ask(get("/")));  // answered by the only thread that serves connections
  EXPECT_FALSE(writer.has_something());
  journal_.open_gate();
  EXPECT_TRUE(writer.read_answer());
}

TEST_F(HttpDurabilityTest, ManyThreadsCommitForEachOtherAndNoAnswerIsEarlyOrLost) {
  options_.threads = 4;
  start();
  constexpr int clients = 8;
  constexpr int rounds = 150;
  std::atomic<int> answers = 0;
  std::vector<std::thread> threads;
  for (int i = 0; i < clients; ++i) {
    threads.emplace_back([&] {
      RawClient one = client();
      for (int round = 0; round < rounds; ++round) {
        ASSERT_TRUE(one.send(get("/write") + get("/x") + get("/write")));
        for (int part = 0; part < 3; ++part) {
          const auto answer = one.read_answer();
          ASSERT_TRUE(answer);
          if (part == 1) continue;
          EXPECT_TRUE(commit_.is_durable(std::stoull(answer->body)));
          ++answers;
        }
      }
    });
  }
  std::thread blocking{[&] {
    for (int round = 0; round < rounds; ++round) {
      Index index = 0;
      {
        const std::lock_guard lock{commit_.mutex()};
        index = commit_.add(core::Ended{{}, {1, 0}, core::End::released});
      }
      commit_.commit_until(index);
    }
  }};
  for (std::thread& thread : threads) thread.join();
  blocking.join();
  EXPECT_EQ(answers, 2 * clients * rounds);
  EXPECT_EQ(journal_.records(), 2U * clients * rounds + rounds);
}

}  // namespace
}  // namespace locker::server
