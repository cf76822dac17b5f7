#include "tests/histories/http_connection.hpp"

#include <charconv>

#include <boost/asio/connect.hpp>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/beast/http/read.hpp>
#include <boost/beast/http/string_body.hpp>
#include <boost/beast/http/write.hpp>

namespace locker::histories {
namespace {

namespace http = boost::beast::http;
using boost::system::error_code;

constexpr std::chrono::milliseconds connect_again{20};

Index index_of(const http::response<http::string_body>& response) {
  Index index = 0;
  const auto text = response["Locker-Index"];
  std::from_chars(text.data(), text.data() + text.size(), index);
  return index;
}

}  // namespace

Nanoseconds monotonic_now() {
  return std::chrono::duration_cast<std::chrono::nanoseconds>(
             std::chrono::steady_clock::now().time_since_epoch())
      .count();
}

net::awaitable<void> sleep_for(std::chrono::milliseconds duration) {
  net::steady_timer timer{co_await net::this_coro::executor, duration};
  co_await timer.async_wait(net::use_awaitable);
}

HttpConnection::HttpConnection(net::io_context& io_context, std::uint16_t port)
    : port_(port), socket_(io_context), leaving_(io_context) {}

net::awaitable<void> HttpConnection::connect() {
  while (!socket_.is_open()) {
    error_code error;
    co_await socket_.async_connect({net::ip::address_v4::loopback(), port_},
                                   net::redirect_error(net::use_awaitable, error));
    // While nobody listens, the system can connect a socket to itself.
    if (!error && socket_.local_endpoint(error) != socket_.remote_endpoint(error) && !error) {
      socket_.set_option(net::ip::tcp::no_delay{true});
      break;
    }
    close();
    co_await sleep_for(connect_again);  // the server is being started again
  }
}

void HttpConnection::leave_after(std::chrono::milliseconds duration) {
  leaving_.expires_after(duration);
  leaving_.async_wait([this, request = requests_](const error_code& error) {
    if (!error && request == requests_) close();
  });
}

void HttpConnection::close() {
  error_code ignored;
  socket_.close(ignored);
  buffer_.clear();
}

net::awaitable<HttpConnection::Exchange> HttpConnection::ask(
    Request request, std::optional<std::chrono::milliseconds> leaves_after) {
  co_await connect();
  http::request<http::string_body> message{http::string_to_verb(request.method), request.target, 11,
                                           std::move(request.body)};
  message.set(http::field::host, "127.0.0.1");
  if (!message.body().empty()) message.set(http::field::content_type, "application/json");
  message.prepare_payload();
  http::response<http::string_body> response;
  Exchange exchange;
  ++requests_;
  exchange.sent = monotonic_now();
  error_code error;
  co_await http::async_write(socket_, message, net::redirect_error(net::use_awaitable, error));
  if (!error && leaves_after) {
    if (leaves_after->count() == 0) {
      close();
      error = net::error::operation_aborted;
    } else {
      leave_after(*leaves_after);
    }
  }
  if (!error) {
    co_await http::async_read(socket_, buffer_, response,
                              net::redirect_error(net::use_awaitable, error));
  }
  ++requests_;  // it is too late to leave
  leaving_.cancel();
  if (error) {
    close();
    exchange.closed = monotonic_now();
    co_return exchange;
  }
  exchange.got = monotonic_now();
  exchange.status = response.result_int();
  exchange.index = index_of(response);
  exchange.body = std::move(response.body());
  if (!response.keep_alive()) close();
  co_return exchange;
}

}  // namespace locker::histories
