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

/// One TCP connection to a server, through TLS if its URL says https: then the server needs a
/// certificate for its name that the system's CAs, or that of the address, have signed. One
/// operation at a time, each bounded by expires_after(). On the thread that runs the executor.
class Connection {
 public:
  using ErrorCode = boost::system::error_code;
  using Request = boost::beast::http::request<boost::beast::http::string_body>;
  using Parser = boost::beast::http::response_parser<boost::beast::http::string_body>;

  explicit Connection(net::io_context& io_context) : stream_(io_context) {}

  /// The time is for each of name resolution, connecting (to all addresses of the name together)
  /// and TLS's handshake.
  [[nodiscard]] net::awaitable<ErrorCode> async_connect(const ServerAddress& address,
                                                        std::chrono::milliseconds timeout);
  void expires_after(std::chrono::milliseconds timeout) { stream_.expires_after(timeout); }
  void expires_never() { stream_.expires_never(); }
  [[nodiscard]] net::awaitable<ErrorCode> async_write(Request& request);
  [[nodiscard]] net::awaitable<ErrorCode> async_read_header(Parser& parser);
  [[nodiscard]] net::awaitable<ErrorCode> async_read(Parser& parser);
  /// A part of the body whose header was read.
  [[nodiscard]] net::awaitable<ErrorCode> async_read_some(Parser& parser);
  /// Nothing more is sent. What is under way ends when the server has closed its side, too.
  void hang_up();
  void close();
  [[nodiscard]] bool is_open() const { return is_open_; }
  /// What is wrong with the server's certificate, when that made async_connect() fail; else empty.
  [[nodiscard]] const std::string& distrust() const { return distrust_; }
  /// Which of our own files made it fail, and why; else empty.
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
