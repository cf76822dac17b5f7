#pragma once

#include <chrono>
#include <cstddef>
#include <memory>
#include <optional>
#include <string>

#include <boost/asio/awaitable.hpp>
#include <boost/asio/buffer.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/ssl/context.hpp>
#include <boost/asio/ssl/stream.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/core/tcp_stream.hpp>
#include <boost/beast/http/message.hpp>
#include <boost/beast/http/parser.hpp>
#include <boost/beast/http/string_body.hpp>
#include <boost/system/error_code.hpp>

#include "client/library/server_address.hpp"

namespace locker::client {

namespace net = boost::asio;

/// One TCP connection to a server, with TLS if its URL is https: the server then needs a
/// certificate for its host name that one of the system's CAs, or of the address's CA file, has
/// signed. Not thread-safe: one operation at a time, on the thread that runs the io_context.
/// expires_after() bounds the operations that follow.
class Connection {
 public:
  using ErrorCode = boost::system::error_code;
  using Request = boost::beast::http::request<boost::beast::http::string_body>;
  using Parser = boost::beast::http::response_parser<boost::beast::http::string_body>;

  explicit Connection(net::io_context& io_context) : stream_(io_context) {}

  /// `timeout` bounds each of name resolution, connecting (all addresses of the name together) and
  /// the TLS handshake.
  [[nodiscard]] net::awaitable<ErrorCode> async_connect(const ServerAddress& address,
                                                        std::chrono::milliseconds timeout);
  void expires_after(std::chrono::milliseconds timeout) { stream_.expires_after(timeout); }
  void expires_never() { stream_.expires_never(); }
  [[nodiscard]] net::awaitable<ErrorCode> async_write(Request& request);
  [[nodiscard]] net::awaitable<ErrorCode> async_read_header(Parser& parser);
  [[nodiscard]] net::awaitable<ErrorCode> async_read(Parser& parser);
  /// Reads part of the body, after async_read_header().
  [[nodiscard]] net::awaitable<ErrorCode> async_read_some(Parser& parser);
  /// Shuts down the sending side. An operation under way ends when the server closes its side.
  void hang_up();
  void close();
  [[nodiscard]] bool is_open() const { return is_open_; }
  /// What is wrong with the server's certificate, if that made async_connect() fail; else empty.
  [[nodiscard]] const std::string& distrust() const { return distrust_; }
  /// Which of our own TLS files made async_connect() fail, and why; else empty.
  [[nodiscard]] const std::string& bad_file() const { return bad_file_; }

 private:
  struct Resolving;

  [[nodiscard]] net::awaitable<ErrorCode> async_resolve(
      const ServerAddress& address, std::chrono::milliseconds timeout,
      net::ip::tcp::resolver::results_type& found);
  [[nodiscard]] net::awaitable<ErrorCode> async_reach(
      const net::ip::tcp::resolver::results_type& found, std::chrono::milliseconds timeout);
  [[nodiscard]] ErrorCode load_files(const ServerAddress::Tls& files);
  [[nodiscard]] ErrorCode prepare_tls(const ServerAddress& address);

  boost::beast::tcp_stream stream_;
  std::weak_ptr<Resolving> resolving_;
  std::optional<net::ssl::context> context_;
  std::optional<net::ssl::stream<boost::beast::tcp_stream&>> tls_;
  boost::beast::flat_buffer buffer_;
  std::string distrust_;
  std::string bad_file_;
  bool is_open_ = false;
};

}  // namespace locker::client
