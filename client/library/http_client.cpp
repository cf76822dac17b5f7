#include "client/library/http_client.hpp"

#include <openssl/err.h>
#include <openssl/sslerr.h>

#include <utility>

#include <boost/asio/ssl/error.hpp>
#include <boost/beast/core/error.hpp>
#include <boost/json/parse.hpp>

namespace locker::client {
namespace {

namespace beast = boost::beast;
namespace http = beast::http;
using ErrorCode = boost::system::error_code;

constexpr std::size_t body_max = 16U << 20U;

/// A connection that the server had closed while it was idle fails within this time.
constexpr std::chrono::seconds break_time_max{1};

std::string text_of(const boost::json::object& object, std::string_view name) {
  const boost::json::value* const value = object.if_contains(name);
  return value != nullptr && value->is_string() ? std::string{value->get_string()} : "";
}

Failure::Kind kind_of(unsigned status, std::string_view code) {
  if (code == "locked") return Failure::Kind::not_acquired;
  if (code == "deadlock") return Failure::Kind::deadlock;
  if (code == "lease_ended" || code == "no_such_lease") return Failure::Kind::lost;
  if (code.empty() || status == 502 || status == 504) return Failure::Kind::unreachable;
  return Failure::Kind::refused;
}

/// Whether the peer answered the TLS handshake with something other than TLS.
bool is_plain_answer(const ErrorCode& error) {
  return error.category() == net::error::get_ssl_category() &&
         ERR_GET_REASON(static_cast<unsigned long>(error.value())) == SSL_R_WRONG_VERSION_NUMBER;
}

/// Whether the peer ended the connection, and not a timeout or this client.
bool is_cut(const ErrorCode& error) {
  return error != beast::error::timeout && error != net::error::operation_aborted;
}

}  // namespace

boost::json::object Reply::json() const {
  ErrorCode error;
  const boost::json::value value = boost::json::parse(body, error);
  return !error && value.is_object() ? value.get_object() : boost::json::object{};
}

Failure Reply::failure() const {
  Failure failure;
  failure.status = status;
  failure.answer = json();
  failure.code = text_of(failure.answer, "error");
  failure.message = text_of(failure.answer, "message");
  failure.kind = kind_of(status, failure.code);
  if (const std::string detail = text_of(failure.answer, "detail"); !detail.empty()) {
    failure.message += " Reason given: " + detail;  // an administrator's words
  }
  if (failure.message.empty()) {
    failure.message = "The answer does not come from a lock server: HTTP status " +
                      std::to_string(status) + ". Check the URL, and any proxy in between.";
  }
  return failure;
}

HttpClient::HttpClient(net::io_context& io_context, ServerAddress address)
    : address_(std::move(address)), connection_(io_context) {}

Failure HttpClient::unreachable(const ErrorCode& why) const {
  Failure failure;
  if (!connection_.bad_file().empty()) {
    failure.code = "bad_file";
    failure.message = connection_.bad_file() +
                      ". It must be PEM and readable, and a key must match its certificate.";
    return failure;
  }
  failure.kind = Failure::Kind::unreachable;
  failure.code = "unreachable";
  failure.message = "No answer from the lock server at " + address_.host_field() + ": " +
                    (why == beast::error::timeout ? "it takes too long" : why.message()) + ".";
  if (is_plain_answer(why)) {
    failure.message = "What answers at " + address_.host_field() +
                      " does not speak TLS; begin the URL with http, or use another port.";
  }
  if (connection_.distrust().empty()) return failure;
  const std::string& ca_file = address_.tls.ca_file;
  failure.code = "untrusted";
  failure.message =
      "The lock server at " + address_.host_field() +
      " cannot be trusted: " + connection_.distrust() +
      ". Its certificate must be for that name, and signed by " +
      (ca_file.empty() ? "a CA of this system; a CA file can name another." : ca_file + ".");
  return failure;
}

/// Refuses a line break, which would end the header line and begin another one.
std::optional<Failure> HttpClient::find_line_break(const Call& call) const {
  const auto has_one = [](const std::string& text) {
    return text.find_first_of(std::string_view{"\r\n\0", 3}) != std::string::npos;
  };
  if (!has_one(address_.key) && !has_one(call.token) && !has_one(call.target)) return std::nullopt;
  return Failure{Failure::Kind::refused, 400, "bad_request",
                 "There is a line break in the key, the token or the path; remove it."};
}

Connection::Request HttpClient::make_request(const Call& call) const {
  Connection::Request request{call.method, address_.base + call.target, 11};
  request.set(http::field::host, address_.host_field());
  request.set(http::field::user_agent, "locker");
  request.set(http::field::accept, "application/json");
  if (!address_.key.empty()) {
    request.set(http::field::authorization, "Bearer " + address_.key);
  }
  if (!call.token.empty()) request.set(http::field::lock_token, call.token);
  if (!call.body.empty()) request.set(http::field::content_type, "application/json");
  request.body() = call.body;
  if (call.method == http::verb::post || !call.body.empty()) request.prepare_payload();
  return request;
}

net::awaitable<ErrorCode> HttpClient::async_exchange(Connection::Request& request, Reply& reply,
                                                     milliseconds timeout) {
  connection_.expires_after(timeout);
  reply.sent = BootClock::now();
  const ErrorCode not_sent = co_await connection_.async_write(request);
  if (not_sent) co_return not_sent;
  for (;;) {
    Connection::Parser parser;
    parser.body_limit(body_max);
    const ErrorCode not_read = co_await connection_.async_read(parser);
    if (not_read) co_return not_read;
    if (parser.get().result_int() < 200) continue;  // 1xx: the final answer follows
    connection_.expires_never();
    reply.status = parser.get().result_int();
    reply.body = std::move(parser.get().body());
    if (!parser.keep_alive()) connection_.close();
    co_return ErrorCode{};
  }
}

net::awaitable<Result<Reply>> HttpClient::async_call(const Call& call, milliseconds timeout) {
  if (auto refused = find_line_break(call)) co_return std::move(*refused);
  Connection::Request request = make_request(call);
  Reply reply;
  const unsigned closings = closings_;
  const ErrorCode aborted = net::error::operation_aborted;
  const milliseconds answer_time = timeout + call.wait;
  was_cut_ = false;
  if (connection_.is_open()) {
    const ErrorCode error = co_await async_exchange(request, reply, answer_time);
    if (!error) co_return reply;
    connection_.close();
    was_cut_ = is_cut(error);
    // The server closes idle connections: a request that crossed that got no answer; send it again.
    if (!was_cut_ || BootClock::now() - reply.sent >= break_time_max) co_return unreachable(error);
  }
  if (closings != closings_) co_return unreachable(aborted);
  was_cut_ = false;  // from here on the request is sent afresh, or not at all
  const ErrorCode refused = co_await connection_.async_connect(address_, timeout);
  if (closings != closings_) {  // during name resolution, for example
    connection_.close();
    co_return unreachable(aborted);
  }
  if (refused) co_return unreachable(refused);
  has_connected_ = true;
  const ErrorCode error = co_await async_exchange(request, reply, answer_time);
  if (!error) co_return reply;
  connection_.close();
  was_cut_ = is_cut(error);
  co_return unreachable(error);
}

net::awaitable<Result<Reply>> HttpClient::async_open_stream(const Call& call,
                                                            std::string last_event_id,
                                                            milliseconds timeout) {
  if (auto refused = find_line_break(call)) co_return std::move(*refused);
  const ErrorCode refused = co_await connection_.async_connect(address_, timeout);
  if (refused) co_return unreachable(refused);
  Connection::Request request = make_request(call);
  request.set(http::field::accept, "text/event-stream");
  if (!last_event_id.empty()) request.set("Last-Event-ID", last_event_id);
  connection_.expires_after(timeout);
  const ErrorCode not_sent = co_await connection_.async_write(request);
  if (not_sent) co_return unreachable(not_sent);
  Connection::Parser& parser = stream_.emplace();
  parser.body_limit(body_max);
  const ErrorCode not_read = co_await connection_.async_read_header(parser);
  if (not_read) co_return unreachable(not_read);
  Reply reply;
  reply.status = parser.get().result_int();
  if (reply.status == 200) {
    parser.body_limit(boost::none);
    co_return reply;
  }
  const ErrorCode cut = co_await connection_.async_read(parser);
  if (!cut) reply.body = std::move(parser.get().body());
  connection_.close();
  co_return reply;
}

net::awaitable<Result<std::string>> HttpClient::async_read_more(milliseconds timeout) {
  std::string& text = stream_->get().body();
  while (text.empty() && !stream_->is_done()) {
    connection_.expires_after(timeout);
    const ErrorCode error = co_await connection_.async_read_some(*stream_);
    if (error) co_return unreachable(error);
  }
  co_return std::exchange(text, {});
}

}  // namespace locker::client
