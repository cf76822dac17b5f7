#pragma once

#include <cstddef>
#include <string>
#include <string_view>

#include "server/http/http_limits.hpp"
#include "server/request_handler.hpp"

namespace locker::server {

/// Why a request is not given to the handler. After one the connection is closed: where the next
/// request would begin is not known for sure, and guessing is how requests are smuggled.
struct Refusal {
  unsigned status = 400;
  std::string_view code;
  std::string_view message;
};

/// Finds the requests in a connection's bytes. Stricter than HTTP asks: what two programs could
/// read differently (a Transfer-Encoding but chunked, extensions and trailers of chunks, repeated
/// lengths, folded or LF-only lines, missing hosts) is refused. Allocates for a chunked body only.
/// Not thread-safe.
class RequestParser {
 public:
  /// `limits` must outlive the parser.
  explicit RequestParser(const HttpLimits& limits) : limits_(limits) {}

  enum class Outcome {
    incomplete,  ///< Ask again with more bytes.
    empty_line,  ///< An empty line before a request: drop size() bytes and ask again.
    complete,    ///< request() is there, in the first size() bytes; call next() when done with it.
    refused,     ///< refusal() says why; nothing more may be asked.
  };
  /// Looks at the unread bytes. They begin where the last request ended, and stay the same but for
  /// what is added at their end until the outcome is another than incomplete; their address may
  /// change. Reads each byte of a header twice in all, however small the pieces that come, and once
  /// more where the body comes later.
  [[nodiscard]] Outcome parse(std::string_view bytes);

  /// Good as long as the bytes are, and until next(). REQUIRES: complete, or has_new_header().
  [[nodiscard]] Request& request() { return request_; }
  [[nodiscard]] std::size_t size() const { return whole_size_; }
  /// Whether the client wants the connection to go on, by the rules of its version of HTTP.
  [[nodiscard]] bool keep_alive() const { return keep_alive_; }
  [[nodiscard]] bool is_http_1_0() const { return version_ == 10; }
  /// REQUIRES: refused.
  [[nodiscard]] const Refusal& refusal() const { return *refusal_; }

  /// Incomplete, but the header is there: the body is awaited.
  [[nodiscard]] bool awaits_body() const { return header_size_ != 0; }
  /// Of an incomplete request: it will have size() bytes in all.
  [[nodiscard]] bool knows_size() const { return awaits_body() && !is_chunked_; }
  /// The last parse() found the header: request() is there but for the body.
  [[nodiscard]] bool has_new_header() const { return has_new_header_; }
  /// The client waits for `100 Continue` before it sends the body. Told once.
  [[nodiscard]] bool take_continue();

  /// Forgets the request.
  void next();

 private:
  class HeaderParser;

  [[nodiscard]] Outcome refuse(const Refusal& refusal);
  [[nodiscard]] Outcome find_header_end(std::string_view bytes);
  [[nodiscard]] bool parse_header(std::string_view header);
  [[nodiscard]] const Refusal* judge_body();
  [[nodiscard]] Outcome find_chunks_end(std::string_view bytes);
  void join_chunks(std::string_view chunks);

  const HttpLimits& limits_;
  Request request_;
  const Refusal* refusal_ = nullptr;
  std::string_view content_length_;
  std::string joined_;           // the body of a chunked request that is complete
  std::size_t scanned_ = 0;      // no line ends before this one but those in lines_
  std::size_t line_start_ = 0;   // where the line begins that has no end yet
  std::size_t lines_ = 0;        // whole lines so far
  std::size_t header_size_ = 0;  // 0 as long as it is not known
  std::size_t chunks_size_ = 0;  // of the whole chunks that were found so far
  std::size_t whole_size_ = 0;   // header and body
  std::size_t body_max_ = 0;     // of this request; 0: it may have none
  std::size_t empty_lines_ = 0;
  int version_ = 11;
  bool keep_alive_ = true;
  bool is_chunked_ = false;
  bool wants_continue_ = false;
  bool told_continue_ = false;
  bool has_new_header_ = false;
};

}  // namespace locker::server
