#include "server/http/request_parser.hpp"

#include <algorithm>
#include <array>
#include <charconv>
#include <cstdint>
#include <cstring>

#include <boost/asio/buffer.hpp>
#include <boost/beast/http/basic_parser.hpp>
#include <boost/beast/http/rfc7230.hpp>

#include "core/hex_digit.hpp"
#include "core/utf8.hpp"
#include "server/request_target.hpp"

namespace locker::server {
namespace {

namespace http = boost::beast::http;
using ErrorCode = boost::beast::error_code;
using BeastView = boost::beast::string_view;

constexpr Refusal bad_syntax{400, "bad_request",
                             "Send well-formed HTTP: a request line, then fields `Name: value`, "
                             "each line ended by CR LF."};
constexpr Refusal bad_line_end{400, "bad_request", "End every line with CR LF, not with LF alone."};
constexpr Refusal folded_line{400, "bad_request",
                              "Put every header field on one line; folded lines are not taken."};
constexpr Refusal empty_lines{400, "bad_request", "Send a request instead of empty lines."};
constexpr Refusal bad_target{400, "bad_request",
                             "Ask for a path that starts with a slash, in printable ASCII without "
                             "#; percent-encode everything else."};
constexpr Refusal bad_host{400, "bad_request", "Send exactly one Host field."};
constexpr Refusal unfit_host{400, "bad_request",
                             "Send as Host a name or an address, and perhaps `:` and a port."};
constexpr Refusal bad_length{400, "bad_request", "Send one Content-Length of at most ten digits."};
constexpr Refusal unwanted_body{400, "bad_request",
                                "Send no body with GET, HEAD or DELETE; parameters go into the "
                                "query."};
constexpr Refusal repeated_secret{400, "bad_request",
                                  "Send the fields Lock-Token and Authorization once only."};
constexpr Refusal transfer_encoding{411, "length_required",
                                    "Send the body with Content-Length, or with "
                                    "Transfer-Encoding: chunked, once, and no other coding."};
constexpr Refusal bad_chunk{400, "bad_request",
                            "Send each chunk as its size in at most eight hexadecimal digits, CR "
                            "LF, and so many bytes, CR LF; without extensions and trailers."};
constexpr Refusal body_too_large{413, "body_too_large",
                                 "Send a smaller body: at most 64 KiB, or 1 MiB for POST "
                                 "/v1/locks."};
constexpr Refusal target_too_long{414, "target_too_long", "Use a shorter path or query."};
constexpr Refusal bad_expectation{417, "expectation_failed", "Expect nothing but 100-continue."};
constexpr Refusal header_too_large{431, "header_too_large", "Send fewer or shorter header fields."};
constexpr Refusal bad_version{505, "version_not_supported", "Use HTTP/1.1."};

constexpr std::size_t chunk_digits_max = 8;
constexpr std::string_view line_end = "\r\n";

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

/// Of a target in absolute form, as proxies are asked (RFC 9112, 3.2.2); zero: it is none.
std::size_t scheme_size(std::string_view target) {
  if (target.starts_with('/')) return 0;  // 180 instructions less for nearly everybody
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

/// What a name of RFC 3986 is made of, but for what is percent-encoded.
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

/// How much of the text is a name, which may be none.
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

/// Of an IPv6 address with its brackets, at the beginning of the text; zero: it is none. Some
/// clients send the name of an interface with it.
std::size_t bracketed_size(std::string_view text) {
  const std::size_t end = text.find(']');
  if (end == std::string_view::npos) return 0;
  const std::string_view address = text.substr(1, end - 1);
  const bool is_fit = std::all_of(address.begin(), address.end(),
                                  [](char c) { return is_of_name(c) || c == ':' || c == '%'; });
  return is_fit ? end + 1 : 0;
}

/// host[:port] (RFC 9112, 3.2); empty when the client knows none.
bool is_fit_host(std::string_view host) {
  const bool is_bracketed = host.starts_with('[');
  const std::size_t size = is_bracketed ? bracketed_size(host) : name_size(host);
  if (is_bracketed && size == 0) return false;
  const std::string_view port = host.substr(size);
  return port.empty() ||
         (port.front() == ':' &&
          std::all_of(port.begin() + 1, port.end(), [](char c) { return c >= '0' && c <= '9'; }));
}

/// What speaks another protocol (TLS, SSH, Redis) would otherwise be told only when its time is up.
bool can_begin_a_request(std::string_view line) {
  return line.empty() || line.front() == '\r' || (line.front() > ' ' && line.front() < '\x7f');
}

bool can_be_a_request_line(std::string_view line) {
  constexpr std::string_view version = " HTTP/1.1";
  return can_begin_a_request(line) && line.size() > version.size() &&
         line.substr(line.size() - version.size()).starts_with(" HTTP/");
}

struct Chunk {
  enum class State { incomplete, bad, whole };
  State state = State::incomplete;
  std::size_t data_size = 0;   ///< Once it is known.
  std::string_view data;       ///< When the chunk is whole, as is the next one.
  std::size_t whole_size = 0;  ///< With what frames it.
};

/// The chunk that the bytes begin with. The last one, without data, is whole with the body's end.
Chunk read_chunk(std::string_view bytes) {
  Chunk chunk;
  std::size_t size = 0;
  std::size_t digits = 0;
  for (; digits < bytes.size() && digits <= chunk_digits_max; ++digits) {
    const int digit = core::hex_digit(bytes[digits]);
    if (digit < 0) break;
    size = 16 * size + static_cast<std::size_t>(digit);
  }
  const std::string_view end_of_size = bytes.substr(digits, line_end.size());
  const bool is_size = digits <= chunk_digits_max && (digits > 0 || end_of_size.empty());
  if (!is_size || !line_end.starts_with(end_of_size)) chunk.state = Chunk::State::bad;
  if (!is_size || end_of_size != line_end) return chunk;
  chunk.data_size = size;
  const std::string_view rest = bytes.substr(digits + line_end.size());
  if (rest.size() < size) return chunk;
  const std::string_view end_of_data = rest.substr(size, line_end.size());
  if (!line_end.starts_with(end_of_data)) chunk.state = Chunk::State::bad;
  if (end_of_data != line_end) return chunk;
  chunk.state = Chunk::State::whole;
  chunk.data = rest.substr(0, size);
  chunk.whole_size = digits + size + 2 * line_end.size();
  return chunk;
}

/// Whether the request line would be well-formed in another version of HTTP.
bool names_a_version(std::string_view header) {
  const std::string_view line = header.substr(0, header.find("\r\n"));
  if (std::count(line.begin(), line.end(), ' ') != 2) return false;
  const std::string_view name = line.substr(line.rfind(' ') + 1);
  const auto is_digit = [](char c) { return c >= '0' && c <= '9'; };
  return name.size() == 8 && name.starts_with("HTTP/") && is_digit(name[5]) && name[6] == '.' &&
         is_digit(name[7]);
}

}  // namespace

/// Beast checks the syntax; this keeps what the handler may need and refuses what Beast lets by.
/// Lives for one header, which is there as a whole, so that the views point into the buffer.
class RequestParser::HeaderParser final : public http::basic_parser<true> {
 public:
  explicit HeaderParser(RequestParser& owner) : owner_(owner) {
    header_limit(static_cast<std::uint32_t>(owner.limits_.header_max + 1));
    body_limit(boost::none);
  }
  [[nodiscard]] const Refusal* refusal() const { return refusal_; }
  [[nodiscard]] unsigned hosts() const { return hosts_; }
  [[nodiscard]] bool asked_to_close() const { return asked_to_close_; }
  [[nodiscard]] bool asked_to_keep() const { return asked_to_keep_; }

 private:
  void refuse(const Refusal& refusal, ErrorCode& error) {
    refusal_ = &refusal;
    error = http::error::bad_value;
  }

  void on_request_impl(http::verb verb, BeastView method, BeastView target, int version,
                       ErrorCode& error) override {
    Request& request = owner_.request_;
    request.method = method_of(verb);
    request.method_name = std_view(method);
    request.target = std_view(target);
    owner_.version_ = version;
    if (request.target.size() > owner_.limits_.target_max) return refuse(target_too_long, error);
    if (const std::size_t size = scheme_size(request.target); size != 0) {
      if (!take_authority(size)) return refuse(bad_target, error);
    }
    if (!is_fit_target(request.target)) return refuse(bad_target, error);
  }

  /// Makes origin form of the absolute one. False: it names no host.
  bool take_authority(std::size_t scheme_size) {
    Request& request = owner_.request_;
    const std::string_view rest = request.target.substr(scheme_size);
    const std::size_t size = std::min(rest.find_first_of("/?"), rest.size());
    request.host = rest.substr(0, size);
    has_authority_ = true;
    request.target = size == rest.size() ? std::string_view{"/"} : rest.substr(size);
    return size != 0 && request.host.front() != ':' && is_fit_host(request.host);
  }

  void on_field_impl(http::field field, BeastView field_name, BeastView field_value,
                     ErrorCode& error) override {
    const std::string_view value = std_view(field_value);
    Request& request = owner_.request_;
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
        if (owner_.version_ != 11 || owner_.is_chunked_ ||
            !boost::beast::iequals(field_value, "chunked")) {
          return refuse(transfer_encoding, error);
        }
        owner_.is_chunked_ = true;
        return;
      case http::field::content_length:
        if (owner_.content_length_.data() != nullptr) return refuse(bad_length, error);
        owner_.content_length_ = value;
        return;
      case http::field::connection:
        return keep_connection_options(field_value);
      case http::field::expect:
        if (!boost::beast::iequals(field_value, "100-continue")) {
          return refuse(bad_expectation, error);
        }
        owner_.wants_continue_ = true;
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
    Request& request = owner_.request_;
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

  // Bodies are not Beast's business here, and responses are not parsed.
  void on_response_impl(int, BeastView, int, ErrorCode&) override {}
  void on_header_impl(ErrorCode&) override {}
  void on_body_init_impl(const boost::optional<std::uint64_t>&, ErrorCode&) override {}
  std::size_t on_body_impl(BeastView body, ErrorCode&) override { return body.size(); }
  void on_chunk_header_impl(std::uint64_t, BeastView, ErrorCode&) override {}
  std::size_t on_chunk_body_impl(std::uint64_t, BeastView body, ErrorCode&) override {
    return body.size();
  }
  void on_finish_impl(ErrorCode&) override {}

  RequestParser& owner_;
  const Refusal* refusal_ = nullptr;
  unsigned hosts_ = 0;
  bool has_authority_ = false;  // in the target; it counts instead of the field Host
  bool asked_to_close_ = false;
  bool asked_to_keep_ = false;
};

RequestParser::Outcome RequestParser::parse(std::string_view bytes) {
  const bool was_parsed = header_size_ != 0;
  has_new_header_ = false;
  if (!was_parsed) {
    if (bytes.starts_with("\r\n")) {
      if (++empty_lines_ > limits_.empty_lines_max) return refuse(empty_lines);
      scanned_ = 0;  // its first byte may have come alone
      whole_size_ = 2;
      return Outcome::empty_line;
    }
    if (const Outcome outcome = find_header_end(bytes); outcome != Outcome::complete) {
      return outcome;
    }
    if (!parse_header(bytes.substr(0, header_size_))) return Outcome::refused;
    has_new_header_ = true;
  }
  if (is_chunked_) {
    if (const Outcome outcome = find_chunks_end(bytes); outcome != Outcome::complete) {
      return outcome;
    }
  }
  if (bytes.size() < whole_size_) return Outcome::incomplete;
  // The buffer may have moved since; to read the header again is simpler than to mend views.
  if (was_parsed && !parse_header(bytes.substr(0, header_size_))) return Outcome::refused;
  request_.body = bytes.substr(header_size_, whole_size_ - header_size_);
  if (is_chunked_) join_chunks(request_.body);
  return Outcome::complete;
}

/// Goes on behind the chunks that were found before.
RequestParser::Outcome RequestParser::find_chunks_end(std::string_view bytes) {
  while (true) {
    const Chunk chunk = read_chunk(bytes.substr(header_size_ + chunks_size_));
    if (chunk.data_size > 0 && body_max_ == 0) return refuse(unwanted_body);
    // With what frames those before it: of tiny chunks that is the most.
    const bool is_too_large = chunk.data_size > 0 && chunks_size_ + chunk.data_size > body_max_;
    if (is_too_large) return refuse(body_too_large);
    if (chunk.state == Chunk::State::bad) return refuse(bad_chunk);
    if (chunk.state != Chunk::State::whole) return Outcome::incomplete;
    chunks_size_ += chunk.whole_size;
    if (chunk.data_size > 0) continue;
    whole_size_ = header_size_ + chunks_size_;
    return Outcome::complete;
  }
}

/// REQUIRES: they are whole.
void RequestParser::join_chunks(std::string_view chunks) {
  joined_.reserve(chunks.size());
  while (!chunks.empty()) {
    const Chunk chunk = read_chunk(chunks);
    joined_ += chunk.data;
    chunks.remove_prefix(chunk.whole_size);
  }
  request_.body = joined_;
}

RequestParser::Outcome RequestParser::find_header_end(std::string_view bytes) {
  const std::string_view allowed = bytes.substr(0, limits_.header_max);
  while (true) {
    const void* const found =
        scanned_ == allowed.size()
            ? nullptr
            : std::memchr(allowed.data() + scanned_, '\n', allowed.size() - scanned_);
    if (found == nullptr) {
      if (!can_begin_a_request(allowed)) return refuse(bad_syntax);
      scanned_ = allowed.size();
      if (allowed.size() < limits_.header_max) return Outcome::incomplete;
      return refuse(lines_ == 0 ? target_too_long : header_too_large);
    }
    const auto end = static_cast<std::size_t>(static_cast<const char*>(found) - allowed.data());
    if (end == line_start_ || allowed[end - 1] != '\r') return refuse(bad_line_end);
    scanned_ = end + 1;
    if (end - 1 == line_start_) {
      header_size_ = scanned_;
      return Outcome::complete;
    }
    if (lines_ == 0 && !can_be_a_request_line(allowed.substr(0, end - 1))) {
      return refuse(bad_syntax);
    }
    const char first = allowed[line_start_];
    if (lines_ > 0 && (first == ' ' || first == '\t')) return refuse(folded_line);
    if (++lines_ > limits_.fields_max + 1) return refuse(header_too_large);
    line_start_ = scanned_;
  }
}

bool RequestParser::parse_header(std::string_view header) {
  request_ = {};
  content_length_ = {};
  is_chunked_ = wants_continue_ = false;
  HeaderParser parser{*this};
  ErrorCode error;
  parser.put(boost::asio::const_buffer{header.data(), header.size()}, error);
  if (parser.refusal() != nullptr) {
    refusal_ = parser.refusal();
  } else if (error == http::error::bad_version && names_a_version(header)) {
    refusal_ = &bad_version;
  } else if (error == http::error::bad_transfer_encoding) {
    refusal_ = &transfer_encoding;
  } else if (error == http::error::bad_content_length ||
             error == http::error::multiple_content_length) {
    refusal_ = &bad_length;
  } else if (error == http::error::bad_target) {
    refusal_ = &bad_target;
  } else if (error) {
    refusal_ = &bad_syntax;
  } else if (parser.hosts() > 1 || (parser.hosts() == 0 && version_ == 11)) {
    refusal_ = &bad_host;
  } else {
    refusal_ = judge_body();
  }
  const bool keeps_by_default = version_ == 11;
  keep_alive_ = !parser.asked_to_close() && (keeps_by_default || parser.asked_to_keep());
  wants_continue_ = wants_continue_ && version_ == 11;  // HTTP/1.0 has no 100 Continue
  return refusal_ == nullptr;
}

const Refusal* RequestParser::judge_body() {
  std::uint64_t length = 0;
  if (content_length_.data() != nullptr) {
    const char* const end = content_length_.data() + content_length_.size();
    const auto [rest, fault] = std::from_chars(content_length_.data(), end, length);
    if (fault != std::errc{} || rest != end || content_length_.size() > 10) return &bad_length;
  }
  if (is_chunked_ && content_length_.data() != nullptr) return &transfer_encoding;
  const Method method = request_.method;
  const bool takes_body =
      method != Method::get && method != Method::head && method != Method::delete_;
  if (length > 0 && !takes_body) return &unwanted_body;
  const bool several = method == Method::post && RequestTarget{request_.target}.path == "/v1/locks";
  body_max_ = !takes_body ? 0 : several ? limits_.several_body_max : limits_.body_max;
  if (length > body_max_) return &body_too_large;
  whole_size_ = header_size_ + chunks_size_ + static_cast<std::size_t>(length);
  return nullptr;
}

RequestParser::Outcome RequestParser::refuse(const Refusal& refusal) {
  refusal_ = &refusal;
  return Outcome::refused;
}

bool RequestParser::take_continue() {
  if (!awaits_body() || !wants_continue_ || told_continue_) return false;
  told_continue_ = true;
  return true;
}

void RequestParser::next() {
  scanned_ = line_start_ = lines_ = header_size_ = whole_size_ = empty_lines_ = 0;
  chunks_size_ = 0;
  std::string{}.swap(joined_);
  told_continue_ = false;
}

}  // namespace locker::server
