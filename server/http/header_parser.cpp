#include "server/http/header_parser.hpp"

#include <algorithm>
#include <array>
#include <charconv>
#include <cstddef>
#include <string>

#include <boost/asio/buffer.hpp>
#include <boost/beast/http/basic_parser.hpp>
#include <boost/beast/http/rfc7230.hpp>

#include "core/hex_digit.hpp"
#include "core/utf8.hpp"
#include "server/http/request_refusals.hpp"

namespace locker::server {
namespace {

namespace http = boost::beast::http;
using ErrorCode = boost::beast::error_code;
using BeastView = boost::beast::string_view;

std::string_view std_view(BeastView text) { return {text.data(), text.size()}; }
BeastView beast_view(std::string_view text) { return {text.data(), text.size()}; }

Method method_of(http::verb verb) {
  switch (verb) {
    case http::verb::get:
      return Method::get;
    case http::verb::head:
      return Method::head;
    case http::verb::post:
      return Method::post;
    case http::verb::delete_:
      return Method::delete_;
    case http::verb::lock:
      return Method::lock;
    case http::verb::unlock:
      return Method::unlock;
    default:
      return Method::other;
  }
}

/// Returns the length of the scheme of a target in absolute form, as sent to proxies (RFC 9112,
/// 3.2.2); zero for any other target.
std::size_t scheme_size(std::string_view target) {
  if (target.starts_with('/')) return 0;  // saves nearly every request 180 instructions
  for (const std::string_view scheme : {"http://", "https://"}) {
    if (boost::beast::iequals(beast_view(target.substr(0, scheme.size())), beast_view(scheme))) {
      return scheme.size();
    }
  }
  return 0;
}

bool is_fit_target(std::string_view target) {
  return target.starts_with('/') && core::is_printable_ascii(target) &&
         target.find('#') == std::string_view::npos;
}

/// The characters of a name in RFC 3986, other than percent-encoded ones.
constexpr std::array<bool, 256> make_name_characters() {
  std::array<bool, 256> table{};
  for (unsigned char c = '0'; c <= '9'; ++c) table[c] = true;
  for (unsigned char c = 'a'; c <= 'z'; ++c) table[c] = true;
  for (unsigned char c = 'A'; c <= 'Z'; ++c) table[c] = true;
  for (const char c : std::string_view{"-._~!$&'()*+,;="})
    table[static_cast<unsigned char>(c)] = true;
  return table;
}

bool is_of_name(char c) {
  static constexpr std::array<bool, 256> name_characters = make_name_characters();
  return name_characters[static_cast<unsigned char>(c)];
}

/// Returns the length of the name that `text` begins with; zero if there is none.
std::size_t name_size(std::string_view text) {
  std::size_t size = 0;
  while (size < text.size()) {
    if (is_of_name(text[size])) {
      ++size;
    } else if (text.size() - size > 2 && text[size] == '%' &&
               core::hex_digit(text[size + 1]) >= 0 && core::hex_digit(text[size + 2]) >= 0) {
      size += 3;
    } else {
      break;
    }
  }
  return size;
}

/// Returns the length of the bracketed IPv6 address that `text` begins with; zero if there is none.
/// Some clients include the name of an interface (a zone) in it.
std::size_t bracketed_size(std::string_view text) {
  const std::size_t end = text.find(']');
  if (end == std::string_view::npos) return 0;
  const std::string_view address = text.substr(1, end - 1);
  const bool is_fit = std::all_of(address.begin(), address.end(),
                                  [](char c) { return is_of_name(c) || c == ':' || c == '%'; });
  return is_fit ? end + 1 : 0;
}

/// host[:port] (RFC 9112, 3.2); empty if the client knows none.
bool is_fit_host(std::string_view host) {
  const bool is_bracketed = host.starts_with('[');
  const std::size_t size = is_bracketed ? bracketed_size(host) : name_size(host);
  if (is_bracketed && size == 0) return false;
  const std::string_view port = host.substr(size);
  return port.empty() ||
         (port.front() == ':' &&
          std::all_of(port.begin() + 1, port.end(), [](char c) { return c >= '0' && c <= '9'; }));
}

/// Returns whether the request line would be well-formed in another version of HTTP.
bool names_a_version(std::string_view header) {
  const std::string_view line = header.substr(0, header.find("\r\n"));
  if (std::count(line.begin(), line.end(), ' ') != 2) return false;
  const std::string_view name = line.substr(line.rfind(' ') + 1);
  const auto is_digit = [](char c) { return c >= '0' && c <= '9'; };
  return name.size() == 8 && name.starts_with("HTTP/") && is_digit(name[5]) && name[6] == '.' &&
         is_digit(name[7]);
}

/// Beast checks the syntax; this class keeps what the handler may need and refuses what Beast lets
/// pass. Lives for one header, which has arrived whole, so that the views point into the buffer.
class HeaderParser final : public http::basic_parser<true> {
 public:
  HeaderParser(const HttpLimits& limits, RequestHeader& header) : limits_(limits), header_(header) {
    header_limit(static_cast<std::uint32_t>(limits.header_max + 1));
    body_limit(boost::none);
  }
  [[nodiscard]] const Refusal* refusal() const { return refusal_; }

  /// Checks what no single field shows. REQUIRES: all fields are parsed. Null: nothing is wrong.
  [[nodiscard]] const Refusal* conclude() {
    const bool is_1_1 = header_.version == 11;
    if (hosts_ > 1 || (hosts_ == 0 && is_1_1)) return &bad_host;
    if (content_length_.data() != nullptr) {
      const char* const end = content_length_.data() + content_length_.size();
      const auto [rest, fault] =
          std::from_chars(content_length_.data(), end, header_.content_length);
      if (fault != std::errc{} || rest != end || content_length_.size() > 10) return &bad_length;
      if (header_.is_chunked) return &transfer_encoding;
    }
    header_.keep_alive = !asked_to_close_ && (is_1_1 || asked_to_keep_);
    header_.wants_continue = header_.wants_continue && is_1_1;  // HTTP/1.0 has no 100 Continue
    return nullptr;
  }

 private:
  void refuse(const Refusal& refusal, ErrorCode& error) {
    refusal_ = &refusal;
    error = http::error::bad_value;
  }

  void on_request_impl(http::verb verb, BeastView method, BeastView target, int version,
                       ErrorCode& error) override {
    Request& request = header_.request;
    request.method = method_of(verb);
    request.method_name = std_view(method);
    header_.version = version;
    std::string_view text = std_view(target);
    if (text.size() > limits_.target_max) return refuse(target_too_long, error);
    if (const std::size_t size = scheme_size(text); size != 0) {
      if (!take_authority(size, text)) return refuse(bad_target, error);
    }
    if (!is_fit_target(text)) return refuse(bad_target, error);
    request.target = RequestTarget{text};
  }

  /// Converts an absolute target to origin form. False: its host is missing or malformed.
  bool take_authority(std::size_t scheme_size, std::string_view& target) {
    Request& request = header_.request;
    const std::string_view rest = target.substr(scheme_size);
    const std::size_t size = std::min(rest.find_first_of("/?"), rest.size());
    request.host = rest.substr(0, size);
    has_authority_ = true;
    target = size == rest.size() ? std::string_view{"/"} : rest.substr(size);
    return size != 0 && request.host.front() != ':' && is_fit_host(request.host);
  }

  void on_field_impl(http::field field, BeastView field_name, BeastView field_value,
                     ErrorCode& error) override {
    const std::string_view value = std_view(field_value);
    Request& request = header_.request;
    switch (field) {
      case http::field::host:
        if (!is_fit_host(value)) return refuse(unfit_host, error);
        ++hosts_;
        if (!has_authority_) request.host = value;
        return;
      case http::field::origin:
        return keep_first(request.origin, value);
      case http::field::referer:
        return keep_first(request.referer, value);
      case http::field::transfer_encoding:
        if (header_.version != 11 || header_.is_chunked ||
            !boost::beast::iequals(field_value, "chunked")) {
          return refuse(transfer_encoding, error);
        }
        header_.is_chunked = true;
        return;
      case http::field::content_length:
        if (content_length_.data() != nullptr) return refuse(bad_length, error);
        content_length_ = value;
        return;
      case http::field::connection:
        return keep_connection_options(field_value);
      case http::field::expect:
        if (!boost::beast::iequals(field_value, "100-continue")) {
          return refuse(bad_expectation, error);
        }
        header_.wants_continue = true;
        return;
      case http::field::authorization:
        return keep_secret(request.authorization, value, error);
      case http::field::lock_token:
        return keep_secret(request.lock_token, value, error);
      case http::field::content_type:
        return keep_first(request.content_type, value);
      case http::field::accept:
        return keep_first(request.accept, value);
      case http::field::if_none_match:
        return keep_first(request.if_none_match, value);
      case http::field::sec_fetch_site:
        return keep_first(request.sec_fetch_site, value);
      case http::field::unknown:
        return keep_unknown(field_name, value);
      default:
        return;
    }
  }

  void keep_unknown(BeastView name, std::string_view value) {
    Request& request = header_.request;
    if (boost::beast::iequals(name, "Last-Event-ID")) keep_first(request.last_event_id, value);
    if (boost::beast::iequals(name, "X-Requested-With")) keep_first(request.requested_with, value);
    if (boost::beast::iequals(name, "Sec-Purpose")) request.sec_purpose = value;
    if (boost::beast::iequals(name, "Purpose")) keep_first(request.sec_purpose, value);
  }

  void keep_connection_options(BeastView value) {
    for (const BeastView option : http::token_list{value}) {
      asked_to_close_ = asked_to_close_ || boost::beast::iequals(option, "close");
      asked_to_keep_ = asked_to_keep_ || boost::beast::iequals(option, "keep-alive");
    }
  }

  static void keep_first(std::string_view& kept, std::string_view value) {
    if (kept.empty()) kept = value;
  }

  void keep_secret(std::string_view& kept, std::string_view value, ErrorCode& error) {
    if (kept.data() != nullptr) return refuse(repeated_secret, error);
    kept = value;
  }

  // Bodies are not handled by Beast, and responses are not parsed.
  void on_response_impl(int, BeastView, int, ErrorCode&) override {}
  void on_header_impl(ErrorCode&) override {}
  void on_body_init_impl(const boost::optional<std::uint64_t>&, ErrorCode&) override {}
  std::size_t on_body_impl(BeastView body, ErrorCode&) override { return body.size(); }
  void on_chunk_header_impl(std::uint64_t, BeastView, ErrorCode&) override {}
  std::size_t on_chunk_body_impl(std::uint64_t, BeastView body, ErrorCode&) override {
    return body.size();
  }
  void on_finish_impl(ErrorCode&) override {}

  const HttpLimits& limits_;
  RequestHeader& header_;
  const Refusal* refusal_ = nullptr;
  std::string_view content_length_;
  unsigned hosts_ = 0;
  bool has_authority_ = false;  // in the target; it overrides the field Host
  bool asked_to_close_ = false;
  bool asked_to_keep_ = false;
};

}  // namespace

const Refusal* parse_header(std::string_view bytes, const HttpLimits& limits,
                            RequestHeader& header) {
  header = {};
  HeaderParser parser{limits, header};
  ErrorCode error;
  parser.put(boost::asio::const_buffer{bytes.data(), bytes.size()}, error);
  if (parser.refusal() != nullptr) return parser.refusal();
  if (!error) return parser.conclude();
  if (error == http::error::bad_version && names_a_version(bytes)) return &bad_version;
  if (error == http::error::bad_transfer_encoding) return &transfer_encoding;
  if (error == http::error::bad_content_length || error == http::error::multiple_content_length) {
    return &bad_length;
  }
  return error == http::error::bad_target ? &bad_target : &bad_syntax;
}

}  // namespace locker::server
