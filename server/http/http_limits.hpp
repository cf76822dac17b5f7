#pragma once

#include <chrono>
#include <cstddef>

namespace locker::server {

/// Limits and timeouts of a connection. The defaults are those of lockerd; tests shorten them.
/// Sizes are in bytes.
struct HttpLimits {
  using Milliseconds = std::chrono::milliseconds;

  std::size_t target_max = 8 * 1024;         ///< More: 414.
  std::size_t header_max = 16 * 1024;        ///< Request line, fields, empty line. More: 431.
  std::size_t fields_max = 64;               ///< More: 431.
  std::size_t body_max = 64 * 1024;          ///< More: 413. Of a chunked body: with its framing.
  std::size_t large_body_max = 1024 * 1024;  ///< The same if Treatment::has_large_body.
  std::size_t empty_lines_max = 4;           ///< Before a request; more: 400.

  std::size_t read_buffer = 4 * 1024;        ///< Kept by an idle connection.
  std::size_t output_kept = 16 * 1024;       ///< A larger output buffer is freed once it is sent.
  std::size_t round_requests_max = 64;       ///< Pipelined requests answered in one write.
  std::size_t round_bytes_max = 256 * 1024;  ///< Output of one round, not counting its last answer.
  /// Unfinished requests and untaken answers of all connections together, beyond read_buffer and
  /// output_kept of each. More: an unfinished request gets 503, and a connection with untaken
  /// answers is closed.
  std::size_t buffered_max = 256 * 1024 * 1024;

  Milliseconds first_byte{10'000};      ///< From accept; then closed without an answer.
  Milliseconds header{5'000};           ///< From a request's first byte; then 408.
  Milliseconds body{10'000};            ///< From the end of the header; then 408.
  Milliseconds write_progress{10'000};  ///< No byte taken for so long; then closed.
  Milliseconds idle{75'000};            ///< Between requests; then closed.
  /// A connection that has been idle, or without a first byte, for so long may be closed to admit
  /// another one when there are too many.
  Milliseconds makes_way{5'000};
  /// For so long, and for so many bytes, reading goes on after a refusal, so that the client sees
  /// the refusal and not a reset, even in the middle of a large body.
  Milliseconds linger{2'000};
  std::size_t linger_bytes = 16 * 1024 * 1024;
  Milliseconds drain_first_byte{500};  ///< For a connection that was made just before a stop.
  /// For the request of a connection over the limit; then 503. Also replaces its write_progress.
  Milliseconds over_limit{1'000};

  std::size_t stream_piece = 64 * 1024;  ///< Bytes requested from a stream at a time.
  Milliseconds stream_silence{15'000};   ///< Time without an event after which a comment is sent.

  Milliseconds tick{100};            ///< Resolution of the times above.
  Milliseconds accept_pause{100};    ///< After running out of file descriptors.
  std::size_t turned_away_max = 64;  ///< 503s of one worker that linger; more: closed.
  /// Connections among these that may first send their request, which can be for /healthz; more:
  /// 503 immediately.
  std::size_t heard_max = 16;
};

}  // namespace locker::server
