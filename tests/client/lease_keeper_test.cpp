#include "client/library/lease_keeper.hpp"

#include <gtest/gtest.h>

#include <chrono>
#include <functional>
#include <optional>
#include <string>
#include <utility>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/http/message.hpp>
#include <boost/beast/http/read.hpp>
#include <boost/beast/http/string_body.hpp>
#include <boost/beast/http/write.hpp>

#include "tests/client/pretended_names.hpp"
#include "tests/client/suspended_clock.hpp"

namespace locker::client {
namespace {

using namespace std::chrono_literals;
using net::ip::tcp;
namespace http = boost::beast::http;

static_assert(std::chrono::is_clock_v<BootClock>);

/// What the keeper ends with, at the latest after so long, or within a second after `is_done`.
std::optional<Failure> run(
    net::io_context& io_context, LeaseKeeper& keeper, std::chrono::seconds at_most,
    const std::function<bool()>& is_done = [] { return false; }) {
  std::optional<Failure> failure;
  net::co_spawn(io_context, keeper.async_run(),
                [&](const std::exception_ptr&, std::optional<Failure> why) {
                  failure = why;
                  io_context.stop();
                });
  for (auto ran = 0s; ran < at_most && !failure && !is_done(); ++ran) io_context.run_for(1s);
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

/// A server of a lease with many locks: each page of them takes 150 ms.
class SlowPages {
 public:
  explicit SlowPages(net::io_context& io_context)
      : acceptor_(io_context, {net::ip::address_v4::loopback(), 0}) {
    net::co_spawn(io_context, async_serve(), net::detached);
  }

  static constexpr int pages = 25;
  [[nodiscard]] bool is_read() const { return is_read_; }
  [[nodiscard]] unsigned short port() const { return acceptor_.local_endpoint().port(); }

 private:
  net::awaitable<void> async_serve() {
    for (;;) {
      tcp::socket client = co_await acceptor_.async_accept(net::use_awaitable);
      net::co_spawn(acceptor_.get_executor(), async_answer(std::move(client)), net::detached);
    }
  }

  net::awaitable<void> async_answer(tcp::socket client) {
    boost::beast::flat_buffer buffer;
    for (int page = 1;;) {
      http::request<http::string_body> request;
      co_await http::async_read(client, buffer, request, net::use_awaitable);
      http::response<http::string_body> response{http::status::ok, 11};
      response.body() = R"({"ttl_ms": 3000, "locks": 1, "newest_fence": 7})";
      if (request.method() == http::verb::get) {
        const std::string next = page < pages ? "\"/" + std::to_string(page++) + "\"" : "null";
        response.body() = R"({"locks": [{"path": "/a", "fence": 7, "mode": "exclusive",
                              "state": "held"}], "next": )" +
                          next + "}";
        net::steady_timer timer{client.get_executor(), 150ms};
        co_await timer.async_wait(net::use_awaitable);
        is_read_ = next == "null";
      }
      response.prepare_payload();
      co_await http::async_write(client, response, net::use_awaitable);
    }
  }

  tcp::acceptor acceptor_;
  bool is_read_ = false;
};

TEST(LeaseKeeperTest, RenewsWhileItReadsWhatALeaseOfManyLocksHolds) {
  net::io_context io_context{1};
  const SlowPages server{io_context};
  const auto address = parse_server_address("http://127.0.0.1:" + std::to_string(server.port()));
  const Grant grant{.paths = {"/a"},
                    .token = fresh_token(),
                    .owner = "me",
                    .fence = 7,
                    .ttl = 3s,
                    .sent = BootClock::now()};
  LeaseKeeper keeper{io_context, *address, grant};
  const std::optional<Failure> failure =
      run(io_context, keeper, 60s, [&] { return server.is_read(); });
  EXPECT_FALSE(failure) << failure->message;
  EXPECT_TRUE(server.is_read());
}

}  // namespace
}  // namespace locker::client
