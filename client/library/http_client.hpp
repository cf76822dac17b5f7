#pragma once

#include <chrono>
#include <optional>
#include <string>

#include <boost/asio/awaitable.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/beast/http/verb.hpp>
#include <boost/json/value.hpp>

#include "client/library/boot_clock.hpp"
#include "client/library/connection.hpp"
#include "client/library/failure.hpp"
#include "client/library/server_address.hpp"

namespace locker::client {

using std::chrono::milliseconds;
using SteadyClock = std::chrono::steady_clock;

/// One request. `target` begins with a slash; HttpClient prepends the server's base path.
struct Call {
  boost::beast::http::verb method = boost::beast::http::verb::get;
  std::string target = {};
  std::string body = {};   ///< JSON, if not empty.
  std::string token = {};  ///< The Lock-Token header, if not empty.
  milliseconds wait{0};    ///< How long the server may hold the request before it answers.
};

/// An answer with any status.
struct Reply {
  unsigned status = 0;
  std::string body;
  BootClock::time_point sent;  ///< When the request was sent; a TTL starts no earlier.

  /// The body as a JSON object; empty if it is not one.
  [[nodiscard]] boost::json::object json() const;
  /// The failure that an answer with status 300 or above reports.
  [[nodiscard]] Failure failure() const;
  /// Whether the server is stopping, or a proxy could not reach it.
  [[nodiscard]] bool is_transient() const {
    return status == 502 || status == 503 || status == 504;
  }
};

/// Whether the server, or something in between, is unavailable and a retry may succeed.
[[nodiscard]] inline bool is_away(const Result<Reply>& answered) {
  return answered ? answered->is_transient() : answered.error().kind == Failure::Kind::unreachable;
}

/// As is_away(), or the server's disk is full (507): a release also waits for room on it.
[[nodiscard]] inline bool is_away_or_full(const Result<Reply>& answered) {
  return is_away(answered) || (answered && answered->status == 507);
}

/// One keep-alive connection to the server, opened on demand. Not thread-safe: use it on the thread
/// that runs its io_context, for one call at a time.
///
/// If the server has closed the idle connection, the client sends the call again on a new one. All
/// of Locker's requests can be repeated (an acquire has a token of the client's choice) except a
/// force without a fence: make that on a fresh client, as call() does.
///
/// The `async_*` functions support terminal cancellation, the kind that co_spawn() enables by
/// default. Cancelled during I/O, a call is not repeated and returns a failure of kind
/// `unreachable`; the next co_await of the cancelled coroutine, which may be inside the call,
/// throws boost::system::system_error (operation_aborted). The server may have carried the request
/// out. Call close() before you use the client again: an unread answer may be left in the
/// connection.
class HttpClient {
 public:
  HttpClient(net::io_context& io_context, ServerAddress address);

  /// Sends `call`, which must outlive the coroutine. `timeout` bounds each of name resolution,
  /// connecting, the TLS handshake and the answer; the answer may take `call.wait` longer.
  [[nodiscard]] net::awaitable<Result<Reply>> async_call(const Call& call, milliseconds timeout);
  /// Whether the last call was sent and the peer closed the connection without an answer.
  [[nodiscard]] bool was_cut() const { return was_cut_; }
  /// Whether a connection was ever established.
  [[nodiscard]] bool has_connected() const { return has_connected_; }

  /// Opens a stream of server-sent events; returns the head of the answer, or with a status other
  /// than 200 all of it. After that async_read_more() returns what has arrived, and an empty text
  /// at the end; its `timeout` bounds the silence: the server sends something every 15 s.
  [[nodiscard]] net::awaitable<Result<Reply>> async_open_stream(const Call& call,
                                                                std::string last_event_id,
                                                                milliseconds timeout);
  [[nodiscard]] net::awaitable<Result<std::string>> async_read_more(milliseconds timeout);

  /// Shuts down the sending side: a call under way sends nothing more and fails. If its request was
  /// sent, the call fails once the server has read it; the server then carries it out before any
  /// later request of another connection.
  void hang_up() {
    ++closings_;
    if (!connection_.is_open()) return connection_.close();
    connection_.hang_up();
  }
  /// Closes the connection: a call under way fails and sends nothing more.
  void close() {
    ++closings_;
    connection_.close();
  }
  [[nodiscard]] bool is_open() const { return connection_.is_open(); }
  [[nodiscard]] const ServerAddress& address() const { return address_; }

 private:
  [[nodiscard]] std::optional<Failure> find_line_break(const Call& call) const;
  [[nodiscard]] Connection::Request make_request(const Call& call) const;
  [[nodiscard]] net::awaitable<boost::system::error_code> async_exchange(
      Connection::Request& request, Reply& reply, milliseconds timeout);
  [[nodiscard]] Failure unreachable(const boost::system::error_code& why) const;

  ServerAddress address_;
  Connection connection_;
  std::optional<Connection::Parser> stream_;  // of events
  bool has_connected_ = false;
  bool was_cut_ = false;
  unsigned closings_ = 0;  // calls of hang_up() and close()
};

}  // namespace locker::client
