// A worker on an io_context of the embedding program.
#include "server/http/worker.hpp"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>

#include "tests/server/http_fixture.hpp"
#include "tests/server/later_handler.hpp"

namespace locker::server {
namespace {

class WorkerTest : public testing::Test {
 protected:
  ~WorkerTest() override { journal_.open_gate(); }

  test::GatedJournal journal_;
  GroupCommit commit_{journal_, 0, [](const core::Fault&) {}};
  EchoHandler handler_{commit_};
  net::io_context io_context_{1};
};

/// A connected pair; the server's end belongs to the io_context.
std::pair<RawClient, Socket> connect(net::io_context& io_context) {
  Acceptor acceptor{io_context.get_executor(), {net::ip::address_v4::loopback(), 0}};
  RawClient one{acceptor.local_endpoint().port()};
  return {std::move(one), acceptor.accept()};
}

TEST_F(WorkerTest, ServesAConnectionThatWasAcceptedElsewhere) {
  Worker worker{io_context_, handler_, commit_, {}};
  auto [one, socket] = connect(io_context_);
  worker.adopt(std::move(socket));
  ASSERT_TRUE(one.send(get("/write", "Connection: close\r\n")));
  io_context_.run();  // until nothing is left to do
  EXPECT_EQ(one.read_answer()->body, "1");
}

TEST_F(WorkerTest, ADeadHostIsNoticedOnEveryConnection) {
  Worker worker{io_context_, handler_, commit_, {}};
  auto [one, socket] = connect(io_context_);
  const int descriptor = ::dup(socket.native_handle());
  worker.adopt(std::move(socket));
  const auto option = [descriptor](int level, int name) {
    int value = 0;
    socklen_t size = sizeof value;
    EXPECT_EQ(::getsockopt(descriptor, level, name, &value, &size), 0);
    return value;
  };
  EXPECT_EQ(option(SOL_SOCKET, SO_KEEPALIVE), 1);
  EXPECT_EQ(option(IPPROTO_TCP, TCP_KEEPIDLE), 15);
  EXPECT_EQ(option(IPPROTO_TCP, TCP_KEEPINTVL), 5);
  EXPECT_EQ(option(IPPROTO_TCP, TCP_KEEPCNT), 3);
  ::close(descriptor);
}

TEST_F(WorkerTest, ItsContextRunsOutOfWorkAfterADrain) {
  Worker worker{io_context_, handler_, commit_, {}};
  ASSERT_FALSE(worker.listen({net::ip::address_v4::loopback(), 0}));
  auto [one, socket] = connect(io_context_);
  worker.adopt(std::move(socket));
  net::post(io_context_, [&worker = worker] { worker.drain(std::chrono::milliseconds{0}); });
  io_context_.run();
  EXPECT_TRUE(one.is_at_end());
}

TEST_F(WorkerTest, MayBeDestroyedWhileItsContextLivesOn) {
  auto worker = std::make_unique<Worker>(io_context_, handler_, commit_, Worker::Options{});
  ASSERT_FALSE(worker->listen({net::ip::address_v4::loopback(), 0}));
  auto [one, socket] = connect(io_context_);
  worker->adopt(std::move(socket));
  ASSERT_TRUE(one.send(get("/write")));
  while (handler_.calls == 0) io_context_.run_one();
  worker.reset();  // with a session in GroupCommit, a commit posted, a timer, a listener
  io_context_.restart();
  io_context_.run();
  EXPECT_TRUE(commit_.is_durable(1));
}

TEST_F(WorkerTest, WaitsInItsDestructorForAnotherThreadsCommit) {
  journal_.close_gate();
  std::thread other{[&] {
    {
      const std::lock_guard lock{commit_.mutex()};
      commit_.add(core::Ended{{}, {1, 0}, core::End::released});
    }
    commit_.commit_until(1);
  }};
  journal_.wait_for_appends(1);
  auto worker = std::make_unique<Worker>(io_context_, handler_, commit_, Worker::Options{});
  auto [one, socket] = connect(io_context_);
  worker->adopt(std::move(socket));
  ASSERT_TRUE(one.send(get("/write")));
  while (handler_.calls == 0) io_context_.run_one();
  std::thread opener{[&] { journal_.open_gate(); }};
  worker.reset();
  EXPECT_TRUE(commit_.is_durable(2));
  opener.join();
  other.join();
}

/// The limit is two connections, and three come.
class FullWorkerTest : public WorkerTest {
 protected:
  static constexpr std::chrono::milliseconds makes_way{100};
  static constexpr auto long_enough = 10 * makes_way;  ///< Also for a thread that is held up.

  Worker::Options options() {
    Worker::Options options;
    options.limits.tick = options.limits.over_limit = std::chrono::milliseconds{10};
    options.limits.makes_way = makes_way;
    options.connections = connections_;
    options.metrics = metrics_;
    return options;
  }
  RawClient connected() {
    auto [client, socket] = connect(io_context_);
    worker_.adopt(std::move(socket));
    return std::move(client);
  }
  Answer ask(RawClient& client, std::string_view request) {
    EXPECT_TRUE(client.send(request));
    while (!client.has_something()) io_context_.run_one();
    return *client.read_answer();
  }

  const std::shared_ptr<SharedCount> connections_ = std::make_shared<SharedCount>(2);
  const std::shared_ptr<WorkerMetrics> metrics_ = std::make_shared<WorkerMetrics>();
  LaterHandler later_{commit_};
  Worker worker_{io_context_, later_, commit_, options()};
};

TEST_F(FullWorkerTest, TheOneThatHasBeenIdleForLongestMakesWay) {
  RawClient busy = connected();
  RawClient idle = connected();
  ask(idle, get("/"));
  for (int i = 0; i < 20; ++i) {
    ask(busy, get("/"));
    io_context_.run_for(makes_way / 2);
  }
  RawClient third = connected();
  EXPECT_TRUE(idle.is_at_end());
  EXPECT_EQ(ask(third, get("/")).status, 200);
  EXPECT_EQ(ask(busy, get("/")).status, 200);
  EXPECT_EQ(ask(busy, get("/")).status, 200);
  EXPECT_EQ(metrics_->made_way.value(), 1U);
}

TEST_F(FullWorkerTest, AndOneThatNeverAsked) {
  const RawClient first = connected();
  RawClient silent = connected();
  io_context_.run_for(long_enough);
  connected();
  connected();
  EXPECT_TRUE(silent.is_at_end());
  EXPECT_EQ(metrics_->made_way.value(), 2U);
}

TEST_F(FullWorkerTest, WhenAnotherWorkerTakesThePlaceTheNextOneMakesWay) {
  const RawClient first = connected();
  const RawClient second = connected();
  io_context_.run_for(long_enough);
  connections_->remove();
  ASSERT_TRUE(connections_->add(2));  // there is one more than may be, which another worker has
  RawClient third = connected();
  EXPECT_EQ(ask(third, get("/")).status, 200);
  EXPECT_EQ(metrics_->made_way.value(), 2U);
  connections_->remove();
}

TEST_F(FullWorkerTest, OneThatAsksJustNowStays) {
  RawClient first = connected();
  RawClient second = connected();
  io_context_.run_for(long_enough);
  ASSERT_TRUE(first.send(get("/")));
  ASSERT_TRUE(second.send(get("/")));
  RawClient third = connected();
  EXPECT_EQ(ask(third, get("/")).status, 503);
  EXPECT_EQ(first.read_answer()->status, 200);
  EXPECT_EQ(second.read_answer()->status, 200);
}

TEST_F(FullWorkerTest, OneThatWaitsOrHasBegunARequestStays) {
  RawClient waiting = connected();
  RawClient slow = connected();
  io_context_.run_for(long_enough);  // both would be closed for another one now
  ASSERT_TRUE(waiting.send(get("/pend")));
  ASSERT_TRUE(slow.send("GET / HTTP/1.1\r\n"));
  io_context_.run_for(long_enough);
  RawClient third = connected();
  EXPECT_EQ(ask(third, get("/")).status, 503);
  EXPECT_EQ(ask(slow, "Host: a\r\n\r\n").status, 200);
  later_.ticket(0)->wake();
  EXPECT_EQ(ask(waiting, "").status, 200);
}

/// A thousand connections that can go on together: others have their turn in between.
class CrowdTest : public WorkerTest {
 protected:
  static constexpr int crowd = 1000;
  static constexpr int in_turn_max = 200;

  static Worker::Options ticks_all_the_time() {
    Worker::Options options;
    options.limits.tick = std::chrono::milliseconds{0};
    return options;
  }
  void ask(std::string_view target, int count) {
    const int asked = later_.calls + count;
    for (int i = 0; i < count; ++i) {
      auto [client, socket] = connect(io_context_);
      ASSERT_TRUE(client.send(get(target)));
      clients_.push_back(std::move(client));
      worker_.adopt(std::move(socket));
    }
    while (later_.calls < asked) io_context_.run_one();
  }
  /// Runs everything that is ready now, but not what follows from it.
  void take_turn() {
    bool is_over = false;
    net::post(io_context_, [&] { is_over = true; });
    while (!is_over) io_context_.run_one();
  }
  /// Runs turns until all clients have their answers, with `before` ahead of each; returns the most
  /// answers in one turn.
  template <typename Step>
  int most_in_turn(const Step& before) {
    int most = 0;
    for (int turn = 0; later_.deliveries.ended < crowd && turn < crowd; ++turn) {
      const int ended = later_.deliveries.ended;
      before();
      take_turn();
      most = std::max(most, later_.deliveries.ended - ended);
    }
    EXPECT_EQ(later_.deliveries.ended, crowd);
    return most;
  }

  LaterHandler later_{commit_};
  std::vector<RawClient> clients_;
  Worker worker_{io_context_, later_, commit_, ticks_all_the_time()};
};

TEST_F(CrowdTest, WhoWaitedForAnotherThreadsCommitGoesOnInTurn) {
  ask("/pend", crowd / 100);
  journal_.close_gate();
  later_.write();
  std::thread other{[&] { commit_.commit_until(1); }};
  journal_.wait_for_appends(1);
  ask("/write?deliver", crowd);
  journal_.open_gate();
  other.join();
  static_cast<void>(commit_.commit());  // not by the worker, as if on GroupCommit's thread
  std::size_t next = 0;
  EXPECT_LE(most_in_turn([&] {
              if (next < crowd / 100) later_.ticket(next++)->wake();  // more mail
            }),
            in_turn_max);
}

TEST_F(CrowdTest, WhoIsWokenGoesOnInTurn) {
  ask("/pend?deliver", crowd);
  for (std::size_t i = 0; i < crowd; ++i) later_.ticket(i)->wake();
  EXPECT_LE(most_in_turn([] {}), in_turn_max);
}

}  // namespace
}  // namespace locker::server
