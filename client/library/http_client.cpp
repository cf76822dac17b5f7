#include "client/library/http_client.hpp"

#include <fcntl.h>

#include <tuple>
#include <utility>

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/beast/http/empty_body.hpp>
#include <boost/beast/http/parser.hpp>
#include <boost/beast/http/read.hpp>
#include <boost/beast/http/string_body.hpp>
#include <boost/beast/http/write.hpp>
#include <boost/json/parse.hpp>

namespace locker::client {
namespace {

namespace beast = boost::beast;
namespace http = beast::http;
using ErrorCode = boost::system::error_code;

constexpr auto as_result = net::as_tuple(net::use_awaitable);
constexpr std::size_t body_max = 16U << 20U;

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
    failure.message += " The reason given: " + detail;  // an administrator's words
  }
  if (failure.message.empty()) {
    failure.message = "The answer is not a lock server's: HTTP status " + std::to_string(status) +
                      ". Look at the URL, and at what is between.";
  }
  return failure;
}

HttpClient::HttpClient(net::io_context& io_context, ServerAddress address)
    : address_(std::move(address)), stream_(io_context) {}

void HttpClient::close() {
  ErrorCode ignored;
  stream_.socket().close(ignored);
  buffer_.clear();
  is_open_ = false;
}

Failure HttpClient::unreachable(const std::string& why) const {
  Failure failure;
  failure.kind = Failure::Kind::unreachable;
  failure.code = "unreachable";
  failure.message = "No answer from the lock server at " + address_.host_field() + ": " + why + ".";
  return failure;
}

HttpClient::Request HttpClient::make_request(const Call& call) const {
  Request request{call.method, address_.base + call.target, 11};
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

net::awaitable<ErrorCode> HttpClient::async_connect(milliseconds timeout) {
  close();
  net::ip::tcp::resolver resolver{stream_.get_executor()};
  auto [not_found, endpoints] =
      co_await resolver.async_resolve(address_.host, address_.port, as_result);
  if (not_found) co_return not_found;
  stream_.expires_after(timeout);
  auto [refused, endpoint] = co_await stream_.async_connect(endpoints, as_result);
  if (refused) co_return refused;
  ErrorCode ignored;
  stream_.socket().set_option(net::ip::tcp::no_delay{true}, ignored);
  ::fcntl(stream_.socket().native_handle(), F_SETFD, FD_CLOEXEC);  // not for programs we start
  is_open_ = true;
  co_return ErrorCode{};
}

net::awaitable<ErrorCode> HttpClient::async_exchange(Request& request, Reply& reply,
                                                     milliseconds timeout) {
  stream_.expires_after(timeout);
  reply.sent = SteadyClock::now();
  auto [not_sent, sent] = co_await http::async_write(stream_, request, as_result);
  if (not_sent) co_return not_sent;
  http::response_parser<http::string_body> parser;
  parser.body_limit(body_max);
  auto [not_read, read] = co_await http::async_read(stream_, buffer_, parser, as_result);
  if (not_read) co_return not_read;
  stream_.expires_never();
  reply.status = parser.get().result_int();
  reply.body = std::move(parser.get().body());
  if (!parser.keep_alive()) close();
  co_return ErrorCode{};
}

net::awaitable<Result<Reply>> HttpClient::async_call(const Call& call, milliseconds timeout) {
  Request request = make_request(call);
  Reply reply;
  if (is_open_) {
    const ErrorCode error = co_await async_exchange(request, reply, timeout);
    if (!error) co_return reply;
    close();
    // The server closes idle connections: what came then was not answered, and is sent again.
    if (error == beast::error::timeout) co_return unreachable(error.message());
  }
  const ErrorCode refused = co_await async_connect(timeout);
  if (refused) co_return unreachable(refused.message());
  const ErrorCode error = co_await async_exchange(request, reply, timeout);
  if (!error) co_return reply;
  close();
  co_return unreachable(error.message());
}

net::awaitable<Result<Reply>> HttpClient::async_open_stream(const Call& call,
                                                            std::string last_event_id,
                                                            milliseconds timeout) {
  const ErrorCode refused = co_await async_connect(timeout);
  if (refused) co_return unreachable(refused.message());
  Request request = make_request(call);
  request.set(http::field::accept, "text/event-stream");
  if (!last_event_id.empty()) request.set("Last-Event-ID", last_event_id);
  stream_.expires_after(timeout);
  auto [not_sent, sent] = co_await http::async_write(stream_, request, as_result);
  if (not_sent) co_return unreachable(not_sent.message());
  http::response_parser<http::string_body> parser;
  parser.body_limit(body_max);
  auto [not_read, read] = co_await http::async_read_header(stream_, buffer_, parser, as_result);
  if (not_read) co_return unreachable(not_read.message());
  Reply reply;
  reply.status = parser.get().result_int();
  if (reply.status == 200) co_return reply;
  auto [cut, rest] = co_await http::async_read(stream_, buffer_, parser, as_result);
  if (!cut) reply.body = std::move(parser.get().body());
  close();
  co_return reply;
}

net::awaitable<Result<std::string>> HttpClient::async_read_more(milliseconds timeout) {
  if (buffer_.size() == 0) {
    stream_.expires_after(timeout);
    auto space = buffer_.prepare(65'536);
    auto [error, size] = co_await stream_.async_read_some(space, as_result);
    if (error == net::error::eof) co_return std::string{};
    if (error) co_return unreachable(error.message());
    buffer_.commit(size);
  }
  std::string text{static_cast<const char*>(buffer_.data().data()), buffer_.size()};
  buffer_.clear();
  co_return text;
}

}  // namespace locker::client
