#pragma once

#include <cstddef>
#include <string_view>

#include "server/http/chunked_body.hpp"
#include "server/http/header_parser.hpp"
#include "server/http/http_limits.hpp"
#include "server/http/refusal.hpp"
#include "server/request_handler.hpp"

namespace locker::server {

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
  [[nodiscard]] Request& request() { return header_.request; }
  [[nodiscard]] std::size_t size() const { return whole_size_; }
  /// Whether the client wants the connection to go on, by the rules of its version of HTTP.
  [[nodiscard]] bool keep_alive() const { return header_.keep_alive; }
  [[nodiscard]] bool is_http_1_0() const { return header_.version == 10; }
  /// REQUIRES: refused.
  [[nodiscard]] const Refusal& refusal() const { return *refusal_; }

  /// Incomplete, but the header is there: the body is awaited.
  [[nodiscard]] bool awaits_body() const { return header_size_ != 0; }
  /// Of an incomplete request: it will have size() bytes in all.
  [[nodiscard]] bool knows_size() const { return awaits_body() && !header_.is_chunked; }
  /// The last parse() found the header: request() is there but for the body.
  [[nodiscard]] bool has_new_header() const { return has_new_header_; }
  /// The client waits for `100 Continue` before it sends the body. Told once.
  [[nodiscard]] bool take_continue();

  /// Forgets the request.
  void next();

 private:
  [[nodiscard]] Outcome refuse(const Refusal& refusal);
  [[nodiscard]] Outcome find_header_end(std::string_view bytes);
  [[nodiscard]] bool read_header(std::string_view bytes);
  [[nodiscard]] const Refusal* judge_body();
  [[nodiscard]] Outcome find_chunks_end(std::string_view bytes);

  const HttpLimits& limits_;
  RequestHeader header_;
  const Refusal* refusal_ = nullptr;
  ChunkedBody chunked_body_;
  std::size_t scanned_ = 0;      // no line ends before this one but those in lines_
  std::size_t line_start_ = 0;   // where the line begins that has no end yet
  std::size_t lines_ = 0;        // whole lines so far
  std::size_t header_size_ = 0;  // 0 as long as it is not known
  std::size_t whole_size_ = 0;   // header and body
  std::size_t body_max_ = 0;     // of this request; 0: it may have none
  std::size_t empty_lines_ = 0;
  bool told_continue_ = false;
  bool has_new_header_ = false;
};

}  // namespace locker::server
