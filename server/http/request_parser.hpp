#pragma once

#include <cstddef>
#include <string_view>

#include "server/http/chunked_body.hpp"
#include "server/http/header_parser.hpp"
#include "server/http/http_limits.hpp"
#include "server/http/refusal.hpp"
#include "server/request_handler.hpp"

namespace locker::server {

/// Splits the bytes of a connection into requests. Stricter than HTTP requires: refuses what two
/// programs could read differently (a Transfer-Encoding other than chunked, chunk extensions and
/// trailers, repeated lengths, folded or LF-only lines, missing hosts). Allocates only for a
/// chunked body. Not thread-safe.
class RequestParser {
 public:
  /// Both arguments must outlive the parser, which asks `handler` only for treatment_of().
  RequestParser(const HttpLimits& limits, const RequestHandler& handler)
      : limits_(limits), handler_(handler) {}

  enum class Outcome {
    incomplete,  ///< Call again with more bytes.
    empty_line,  ///< An empty line before a request: drop size() bytes and call again.
    complete,    ///< request() is the first size() bytes; call next() when done with it.
    refused,     ///< refusal() says why; do not call again.
  };
  /// Parses the unread bytes, which begin where the last request ended. Until the outcome is other
  /// than `incomplete` the bytes may only grow at their end; their address may change. Reads each
  /// byte of a header twice in total, however small the pieces that arrive, and once more if the
  /// body arrives later.
  [[nodiscard]] Outcome parse(std::string_view bytes);

  /// Valid as long as the bytes are, and until next(). REQUIRES: complete, or has_new_header().
  [[nodiscard]] Request& request() { return header_.request; }
  [[nodiscard]] std::size_t size() const { return whole_size_; }
  /// Whether the client wants a persistent connection, by the rules of its HTTP version.
  [[nodiscard]] bool keep_alive() const { return header_.keep_alive; }
  [[nodiscard]] bool is_http_1_0() const { return header_.version == 10; }
  /// REQUIRES: refused.
  [[nodiscard]] const Refusal& refusal() const { return *refusal_; }

  /// Whether the header of an incomplete request is parsed, so that its body is awaited.
  [[nodiscard]] bool awaits_body() const { return header_size_ != 0; }
  /// Whether the total size of an incomplete request is known: size().
  [[nodiscard]] bool knows_size() const { return awaits_body() && !header_.is_chunked; }
  /// Whether the last parse() completed the header: request() is valid except for its body.
  [[nodiscard]] bool has_new_header() const { return has_new_header_; }
  /// Whether the client waits for `100 Continue` before it sends the body. True only once.
  [[nodiscard]] bool take_continue();

  /// Forgets the current request.
  void next();

 private:
  [[nodiscard]] Outcome refuse(const Refusal& refusal);
  [[nodiscard]] Outcome find_header_end(std::string_view bytes);
  [[nodiscard]] bool read_header(std::string_view bytes);
  [[nodiscard]] const Refusal* judge_body();
  [[nodiscard]] std::size_t find_body_max() const;
  [[nodiscard]] const Refusal& refusal_of_body() const;
  [[nodiscard]] Outcome find_chunks_end(std::string_view bytes);

  const HttpLimits& limits_;
  const RequestHandler& handler_;
  RequestHeader header_;
  const Refusal* refusal_ = nullptr;
  ChunkedBody chunked_body_;
  std::size_t scanned_ = 0;      // all line ends before this are counted in lines_
  std::size_t line_start_ = 0;   // start of the line that has no end yet
  std::size_t lines_ = 0;        // whole lines so far
  std::size_t header_size_ = 0;  // 0 until it is known
  std::size_t whole_size_ = 0;   // header and body
  std::size_t body_max_ = 0;     // of this request; 0: it may have none
  std::size_t empty_lines_ = 0;
  bool told_continue_ = false;
  bool has_new_header_ = false;
};

}  // namespace locker::server
