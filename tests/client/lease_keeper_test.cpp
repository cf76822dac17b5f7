#include "client/library/lease_keeper.hpp"

#include <gtest/gtest.h>

#include <chrono>
#include <optional>
#include <string>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/steady_timer.hpp>

#include "tests/client/pretended_names.hpp"
#include "tests/client/suspended_clock.hpp"

namespace locker::client {
namespace {

using namespace std::chrono_literals;
using net::ip::tcp;

static_assert(std::chrono::is_clock_v<BootClock>);

/// What the keeper ends with, at the latest after so long; then the io_context is stopped.
std::optional<Failure> run(net::io_context& io_context, LeaseKeeper& keeper,
                           std::chrono::seconds at_most) {
  std::optional<Failure> failure;
  net::co_spawn(io_context, keeper.async_run(),
                [&](const std::exception_ptr&, std::optional<Failure> why) {
                  failure = why;
                  io_context.stop();
                });
  io_context.run_for(at_most);
  return failure;
}

TEST(LeaseKeeperTest, WarnsSoonAfterTheMachineWasSuspendedInTheMidstOfARenewal) {
  net::io_context io_context{1};
  // Its backlog takes the connection, and nobody answers.
  const tcp::acceptor silent{io_context, {net::ip::address_v4::loopback(), 0}};
  const auto address =
      parse_server_address("http://127.0.0.1:" + std::to_string(silent.local_endpoint().port()));
  const Grant grant{.paths = {"/a"},
                    .token = fresh_token(),
                    .owner = "me",
                    .ttl = 1h,
                    .sent = BootClock::now() - 21min};  // so it is to be renewed now
  LeaseKeeper keeper{io_context, *address, grant};
  net::steady_timer timer{io_context, 200ms};
  timer.async_wait([](const boost::system::error_code&) { test::suspend(20min); });
  const std::optional<Failure> failure = run(io_context, keeper, 30s);
  ASSERT_TRUE(failure);
  EXPECT_EQ(failure->kind, Failure::Kind::unreachable);
  EXPECT_LT(BootClock::now(), keeper.ends_at());
}

TEST(LeaseKeeperTest, WarnsInTimeWhileANameIsLookedUp) {
  net::io_context io_context{1};
  const auto address = parse_server_address("http://" + test::silent_name + ":1");
  const Grant grant{.paths = {"/a"},
                    .token = fresh_token(),
                    .owner = "me",
                    .ttl = 6s,
                    .sent = BootClock::now() - 3s};  // so it is to be renewed now
  LeaseKeeper keeper{io_context, *address, grant};
  EXPECT_TRUE(run(io_context, keeper, 10s));
  EXPECT_LT(BootClock::now(), keeper.ends_at());
  test::names_answer();
}

}  // namespace
}  // namespace locker::client
