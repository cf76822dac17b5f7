// One allocation fails, and the server continues. A separate program, like allocation_test.cpp.
#include <unistd.h>

#include <cstdlib>
#include <filesystem>

#include "server/calls/take_back.hpp"
#include "server/http/worker.hpp"
#include "server/locker.hpp"
#include "server/service/event_log.hpp"
#include "tests/server/later_fixture.hpp"
#include "tests/support/counted_allocation.hpp"

namespace locker::server {
namespace {

/// Ends a program that hangs: a hung server can only be detected by the time it takes.
class Deadline {
 public:
  Deadline() { ::alarm(60); }
  ~Deadline() { ::alarm(0); }
  Deadline(const Deadline&) = delete;
  Deadline& operator=(const Deadline&) = delete;
};

class AllocationFailureTest : public LaterTest {
 protected:
  AllocationFailureTest() { test::ignore_this_thread(); }
  ~AllocationFailureTest() override { test::fail_next_allocation_of(0); }

 private:
  const Deadline deadline_;
};

TEST(EventLogFailure, WhoCannotBeAddedHoldsUpNobody) {
  const Deadline deadline;
  EventLog log{1, 0, 1};
  std::unique_ptr<Stream> reader;
  unsigned failures = 0;
  while (reader == nullptr) {
    test::fail_next_allocation(failures + 1);
    try {
      reader = log.follow("", "");
    } catch (const std::bad_alloc&) {
      ++failures;
      EXPECT_EQ(log.readers(), 0U);
    }
  }
  test::fail_next_allocation(0);
  EXPECT_GE(failures, 2U);  // including that of its place among the readers, if there is one
  EXPECT_EQ(log.readers(), 1U);
}

TEST_F(AllocationFailureTest, WhoHasNoBufferForItsNextRequestIsClosedAlone) {
  options_.limits.read_buffer = 5003;
  start();
  std::vector<RawClient> clients;
  for (int i = 0; i < 3; ++i) {
    EXPECT_TRUE(clients.emplace_back(client()).ask(get("/x")));  // it has its first buffer
  }
  journal_.close_gate();
  ASSERT_TRUE(clients[2].send(get("/write")));
  journal_.wait_for_appends(1);  // the two others come in the meantime, and wait for one commit
  const std::string large =
      "POST /write HTTP/1.1\r\nHost: a\r\nContent-Length: 6000\r\n\r\n" + std::string(6000, 'x');
  ASSERT_TRUE(clients[0].send(large));
  ASSERT_TRUE(clients[1].send(large));
  test::fail_next_allocation_of(options_.limits.read_buffer);
  journal_.open_gate();
  EXPECT_TRUE(clients[0].read_answer());
  EXPECT_TRUE(clients[1].read_answer());
  EXPECT_TRUE(eventually([&] { return server_->connections() == 2; }));
  EXPECT_TRUE(eventually([&] { return errors() == std::vector<std::string>{"std::bad_alloc"}; }));
  server_->stop();
}

/// Leaves no memory for what its answer still needs.
class LastAllocationHandler final : public RequestHandler {
 public:
  void answer(const Request&, Response& response) override {
    response.delivery = std::make_unique<CountedDelivery>(deliveries);
    test::fail_next_allocation();
  }
  DeliveryCount deliveries;
};

TEST(DeliveryFailure, WhatHasNoMemoryToBeToldIsUndoneAtOnce) {
  const Deadline deadline;
  test::GatedJournal journal;
  GroupCommit commit{journal, 0, [](const core::Fault&) {}};
  LastAllocationHandler handler;
  HttpServer server{handler, commit, {.threads = 1}};
  ASSERT_FALSE(server.start({net::ip::address_v4::loopback(), 0}));
  RawClient one{server.endpoint().port()};
  ASSERT_TRUE(one.send(get("/")));
  EXPECT_TRUE(one.is_at_end());
  EXPECT_EQ(handler.deliveries.made, 1);
  EXPECT_EQ(handler.deliveries.lost, 1);
}

/// Leaves no memory for what a request needs that waits.
class LastAllocationBeforeWaitingHandler final : public RequestHandler {
 public:
  explicit LastAllocationBeforeWaitingHandler(std::atomic<int>& destroyed)
      : destroyed_(destroyed) {}
  void answer(const Request&, Response& response) override {
    response.pending = std::make_unique<Unstarted>(destroyed_);
    test::fail_next_allocation();
  }

 private:
  class Unstarted final : public PendingAnswer {
   public:
    explicit Unstarted(std::atomic<int>& destroyed) : destroyed_(destroyed) {}
    ~Unstarted() override { ++destroyed_; }
    Unstarted(const Unstarted&) = delete;
    Unstarted& operator=(const Unstarted&) = delete;
    void start(Waker&) override { ADD_FAILURE(); }
    void finish(Response&) override { ADD_FAILURE(); }
    std::optional<std::uint64_t> take_back(Response&) override { return std::nullopt; }
    bool abandon() override { return true; }

   private:
    std::atomic<int>& destroyed_;
  };

  std::atomic<int>& destroyed_;
};

TEST(DeliveryFailure, WhoHasNoMemoryToWaitLeavesTheQueueAtOnce) {
  const Deadline deadline;
  test::GatedJournal journal;
  GroupCommit commit{journal, 0, [](const core::Fault&) {}};
  std::atomic<int> destroyed = 0;
  LastAllocationBeforeWaitingHandler handler{destroyed};
  HttpServer server{handler, commit, {.threads = 1}};
  ASSERT_FALSE(server.start({net::ip::address_v4::loopback(), 0}));
  RawClient one{server.endpoint().port()};
  ASSERT_TRUE(one.send(get("/")));
  EXPECT_TRUE(one.is_at_end());
  EXPECT_EQ(destroyed, 1) << "not only when the worker has its next request";
}

TEST(DeliveryFailure, WhatHasNoMemoryToBeTakenBackLaterIsTakenBackAtOnce) {
  std::string directory = testing::TempDir() + "take-back.XXXXXX";
  ASSERT_NE(::mkdtemp(directory.data()), nullptr);
  {
    auto locker = Locker::open({.file = directory + "/store"});
    ASSERT_TRUE(locker) << locker.error().message;
    LockService& service = (*locker)->service();
    const auto opened = service.open_lease({}, {}, {});
    EXPECT_EQ(service.status().leases, 1U);
    test::fail_next_allocation();
    EXPECT_THROW(static_cast<void>(take_back_unless_delivered(service, opened.answer.token)),
                 std::bad_alloc);
    EXPECT_EQ(service.status().leases, 0U);
  }
  std::filesystem::remove_all(directory);
}

/// Commits slowly, and once leaves the committing thread without memory.
class ForgetfulJournal final : public persistence::Journal {
 public:
  persistence::Result<void> append(std::string_view, std::uint32_t) override {
    std::this_thread::sleep_for(10 * GroupCommit::slow_sync);
    if (++appends_ == 2) test::fail_next_allocation();
    return {};
  }
  core::Room room_for(std::size_t, bool, std::size_t) const override { return core::Room::enough; }

 private:
  int appends_ = 0;
};

TEST(WorkerFailure, WhatCannotBePostedIsDoneAtTheNextTick) {
  const Deadline deadline;
  ForgetfulJournal journal;
  GroupCommit commit{journal, 0, [](const core::Fault&) {}};
  EchoHandler handler{commit};
  HttpServer server{handler, commit, {.threads = 1}};
  ASSERT_FALSE(server.start({net::ip::address_v4::loopback(), 0}));
  RawClient one{server.endpoint().port()};
  EXPECT_EQ(one.ask(get("/write"))->body, "1");
  const std::uint64_t before = test::failed_allocations();
  EXPECT_EQ(one.ask(get("/write"))->body, "2");  // is committed on GroupCommit's thread
  EXPECT_EQ(test::failed_allocations(), before + 1);
  EXPECT_EQ(one.ask(get("/write"))->body, "3");
  server.stop();
}

/// Always leaves the committing thread without memory.
class LastAllocationJournal final : public persistence::Journal {
 public:
  persistence::Result<void> append(std::string_view, std::uint32_t) override {
    test::fail_next_allocation();
    return {};
  }
  core::Room room_for(std::size_t, bool, std::size_t) const override { return core::Room::enough; }
};

TEST(WorkerFailure, WhoCannotGoOnLaterIsClosedAlsoIfItIsReadFrom) {
  const Deadline deadline;
  LastAllocationJournal journal;
  GroupCommit commit{journal, 0, [](const core::Fault&) {}};
  LaterHandler handler{commit};
  net::io_context io_context{1};
  const auto connections = std::make_shared<SharedCount>(10);
  Worker worker{io_context, handler, commit, {.connections = connections}};
  Acceptor acceptor{io_context.get_executor(), {net::ip::address_v4::loopback(), 0}};
  std::string requests = get("/pwrite");  // during which the session reads
  for (std::size_t i = 0; i < HttpLimits{}.round_requests_max; ++i) requests += get("/x");
  requests += get("/last", "Connection: close\r\n");
  std::vector<RawClient> clients;
  for (std::size_t i = 0; i < 3; ++i) {
    ASSERT_TRUE(clients.emplace_back(acceptor.local_endpoint().port()).send(requests));
    worker.adopt(acceptor.accept());
  }
  while (handler.calls < 3) io_context.run_one();
  for (std::size_t i = 0; i < 3; ++i) handler.ticket(i)->wake();
  const std::uint64_t before = test::failed_allocations();
  for (int turn = 0; turn < 1000 && connections->value() != 0; ++turn) io_context.poll();
  EXPECT_EQ(test::failed_allocations(), before + 1);
  EXPECT_EQ(connections->value(), 0U);
}

}  // namespace
}  // namespace locker::server
