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

/// One request. `target` begins with a slash; the server's base is put before it.
struct Call {
  boost::beast::http::verb method = boost::beast::http::verb::get;
  std::string target = {};
  std::string body = {};   ///< JSON, when not empty.
  std::string token = {};  ///< Header Lock-Token, when not empty.
  milliseconds wait{0};    ///< So long the server may leave it unanswered.
};

/// An answer of any status.
struct Reply {
  unsigned status = 0;
  std::string body;
  BootClock::time_point sent;  ///< When the request left: a TTL counts from then at the earliest.

  /// The body as a JSON object; empty when it is none.
  [[nodiscard]] boost::json::object json() const;
  /// What an answer of status 300 and more means.
  [[nodiscard]] Failure failure() const;
  /// What the server says when it stops, and proxies while it is away.
  [[nodiscard]] bool is_transient() const {
    return status == 502 || status == 503 || status == 504;
  }
};

/// Whether the server, or what is between, is away, and another try may be answered.
[[nodiscard]] inline bool is_away(const Result<Reply>& answered) {
  return answered ? answered->is_transient() : answered.error().kind == Failure::Kind::unreachable;
}

/// The same for what is given back: that waits for room on the server's disk, too.
[[nodiscard]] inline bool is_away_or_full(const Result<Reply>& answered) {
  return is_away(answered) || (answered && answered->status == 507);
}

/// One connection to the server, opened when it is needed and kept. On the thread that runs its
/// executor; one call at a time. A call is sent twice when the server had closed the connection
/// meanwhile. All of Locker's can be (an acquire has a token of the client's choice) but a force
/// without a fence: give that a connection of its own, as call() does.
class HttpClient {
 public:
  HttpClient(net::io_context& io_context, ServerAddress address);

  /// `call` must live until it is done. The time counts for each of name resolution, connecting and
  /// answering, the call's wait aside.
  [[nodiscard]] net::awaitable<Result<Reply>> async_call(const Call& call, milliseconds timeout);
  /// Whether the last call was sent, and the other side closed the connection without an answer.
  [[nodiscard]] bool was_cut() const { return was_cut_; }
  /// Whether a connection was ever made.
  [[nodiscard]] bool has_connected() const { return has_connected_; }

  /// Asks for a stream of server-sent events; the answer is a failure or its beginning. Then
  /// async_read_more() gives what has come, an empty text at the end. `timeout` is for the silence
  /// between two pieces, too: the server sends something every 15 s.
  [[nodiscard]] net::awaitable<Result<Reply>> async_open_stream(const Call& call,
                                                                std::string last_event_id,
                                                                milliseconds timeout);
  [[nodiscard]] net::awaitable<Result<std::string>> async_read_more(milliseconds timeout);

  /// A call that is under way sends nothing more, and fails; if its request has been sent, when the
  /// server has read it, and so carries it out before all that comes by other connections.
  void hang_up() {
    ++closings_;
    if (!connection_.is_open()) return connection_.close();
    connection_.hang_up();
  }
  /// A call that is under way fails, and sends nothing more.
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
  unsigned closings_ = 0;  // by who wants no answer any more
};

}  // namespace locker::client
