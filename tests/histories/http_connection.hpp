#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>

#include <boost/asio/awaitable.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/beast/core/flat_buffer.hpp>

#include "tests/histories/history.hpp"

namespace locker::histories {

namespace net = boost::asio;

[[nodiscard]] Nanoseconds monotonic_now();
[[nodiscard]] net::awaitable<void> sleep_for(std::chrono::milliseconds duration);

/// A keep-alive connection to the server, made when it is needed and made anew after it broke. One
/// request at a time. Must outlive the run of its io_context.
class HttpConnection {
 public:
  struct Request {
    std::string method;
    std::string target;
    std::string body;  ///< JSON, or empty.
  };
  /// What Operation tells of an exchange.
  struct Exchange {
    Nanoseconds sent = 0;
    Nanoseconds closed = 0;
    Nanoseconds got = 0;
    unsigned status = 0;
    Index index = 0;
    std::string body;
  };

  HttpConnection(net::io_context& io_context, std::uint16_t port);

  /// Sends, and reads the reply. Leaves after this long, without the reply if it has not come by
  /// then; zero: as soon as the request is sent.
  [[nodiscard]] net::awaitable<Exchange> ask(Request request,
                                             std::optional<std::chrono::milliseconds> leaves_after);

 private:
  [[nodiscard]] net::awaitable<void> connect();
  void leave_after(std::chrono::milliseconds duration);
  void close();

  const std::uint16_t port_;
  net::ip::tcp::socket socket_;
  boost::beast::flat_buffer buffer_;
  net::steady_timer leaving_;
  std::uint64_t requests_ = 0;
};

}  // namespace locker::histories
