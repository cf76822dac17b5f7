#include "server/http/response_framing.hpp"

#include <memory>
#include <new>

#include "server/json_text.hpp"

namespace locker::server {
namespace {

constexpr std::string_view json_ok =
    "HTTP/1.1 200 OK\r\n"
    "Content-Type: application/json\r\n"
    "Cache-Control: no-store\r\n"
    "Date: ";

constexpr std::string_view no_store = "Cache-Control: no-store\r\n";

std::string_view reason_of(unsigned status) {
  switch (status) {
    case 200:
      return "OK";
    case 201:
      return "Created";
    case 202:
      return "Accepted";
    case 204:
      return "No Content";
    case 302:
      return "Found";
    case 304:
      return "Not Modified";
    case 400:
      return "Bad Request";
    case 401:
      return "Unauthorized";
    case 403:
      return "Forbidden";
    case 404:
      return "Not Found";
    case 405:
      return "Method Not Allowed";
    case 406:
      return "Not Acceptable";
    case 408:
      return "Request Timeout";
    case 409:
      return "Conflict";
    case 410:
      return "Gone";
    case 411:
      return "Length Required";
    case 413:
      return "Content Too Large";
    case 414:
      return "URI Too Long";
    case 415:
      return "Unsupported Media Type";
    case 417:
      return "Expectation Failed";
    case 422:
      return "Unprocessable Content";
    case 423:
      return "Locked";
    case 429:
      return "Too Many Requests";
    case 431:
      return "Request Header Fields Too Large";
    case 500:
      return "Internal Server Error";
    case 501:
      return "Not Implemented";
    case 503:
      return "Service Unavailable";
    case 505:
      return "HTTP Version Not Supported";
    case 507:
      return "Insufficient Storage";
    default:
      return "Status";
  }
}

}  // namespace

void DateText::set(std::time_t seconds) {
  if (seconds == seconds_) return;
  seconds_ = seconds;
  std::tm utc{};
  gmtime_r(&seconds, &utc);
  // Not strftime: its names depend on the locale.
  constexpr std::string_view days = "SunMonTueWedThuFriSat";
  constexpr std::string_view months = "JanFebMarAprMayJunJulAugSepOctNovDec";
  constexpr std::string_view shape = "Sun, 00 Jan 0000 00:00:00 GMT";
  static_assert(shape.size() == 29);
  shape.copy(text_.data(), shape.size());
  days.substr(3 * static_cast<std::size_t>(utc.tm_wday)).copy(text_.data(), 3);
  months.substr(3 * static_cast<std::size_t>(utc.tm_mon)).copy(text_.data() + 8, 3);
  const auto put = [this](std::size_t last, int number) {
    for (std::size_t at = last; number != 0; --at, number /= 10) {
      text_[at] = static_cast<char>('0' + number % 10);
    }
  };
  put(6, utc.tm_mday);
  put(15, utc.tm_year + 1900);
  put(18, utc.tm_hour);
  put(21, utc.tm_min);
  put(24, utc.tm_sec);
}

void append_response(const Response& response, std::string_view date, std::uint64_t index,
                     ConnectionField connection, bool to_head, std::string& out) {
  const bool has_body = response.status != 204 && response.status != 304;
  const bool has_length = has_body && !response.stream;
  if (response.status == 200 && response.content_type == "application/json" &&
      response.other_fields.empty()) {
    out += json_ok;
  } else {
    out += "HTTP/1.1 ";
    append_number(response.status, out);
    out += ' ';
    out += reason_of(response.status);
    if (has_body) {
      out += "\r\nContent-Type: ";
      out += response.content_type;
    }
    out += "\r\n";
    out += response.other_fields.empty() ? no_store : response.other_fields;
    out += "Date: ";
  }
  out += date;
  out += "\r\nLocker-Index: ";
  append_number(index, out);
  if (!response.allow.empty()) {
    out += "\r\nAllow: ";
    out += response.allow;
  }
  if (response.status == 401) {
    // Two, because browsers know only the first, which makes them prompt for a password.
    if (response.asks_for_password) {
      out += "\r\nWWW-Authenticate: Basic realm=\"locker\", charset=\"UTF-8\"";
    }
    out += "\r\nWWW-Authenticate: Bearer realm=\"locker\"";
  }
  if (response.retry_after) out += "\r\nRetry-After: 1";
  if (connection == ConnectionField::close) out += "\r\nConnection: close";
  if (connection == ConnectionField::keep_alive) out += "\r\nConnection: keep-alive";
  if (has_length) {
    out += "\r\nContent-Length: ";
    append_number(response.body.size(), out);
  }
  out += "\r\n\r\n";
  if (has_length && !to_head) out += response.body;
}

void fill_in(const Refusal& refusal, Response& response) {
  response.status = refusal.status;
  response.retry_after = refusal.status == 503;
  response.body = R"({"error": ")";
  response.body += refusal.code;
  response.body += R"(", "message": ")";
  response.body += refusal.message;  // our own sentences: nothing to escape
  response.body += R"("})";
}

void reset(Response& response, std::size_t body_kept) {
  std::string body = std::move(response.body);
  std::destroy_at(&response);
  new (&response) Response;  // without braces, which would fill it with zeros first
  if (body.capacity() > body_kept) return;
  body.clear();
  response.body = std::move(body);
}

}  // namespace locker::server
