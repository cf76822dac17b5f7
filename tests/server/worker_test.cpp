// A worker on an io_context of the program that embeds it.
#include "server/http/worker.hpp"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <unistd.h>

#include "tests/server/http_fixture.hpp"

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

/// A connected pair: the server's end belongs to the io_context.
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

}  // namespace
}  // namespace locker::server
