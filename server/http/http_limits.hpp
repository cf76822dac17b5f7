#pragma once

#include <chrono>
#include <cstddef>

namespace locker::server {

/// What one connection may ask of the server. The defaults are what lockerd uses; tests shorten
/// them. Sizes are in bytes.
struct HttpLimits {
  using Milliseconds = std::chrono::milliseconds;

  std::size_t target_max = 8 * 1024;           ///< More: 414.
  std::size_t header_max = 16 * 1024;          ///< Request line, fields, empty line. More: 431.
  std::size_t fields_max = 64;                 ///< More: 431.
  std::size_t body_max = 64 * 1024;            ///< More: 413. Of chunks: with what frames them.
  std::size_t several_body_max = 1024 * 1024;  ///< The same for POST /v1/locks.
  std::size_t empty_lines_max = 4;             ///< Before a request; more: 400.

  std::size_t read_buffer = 4 * 1024;        ///< What an idle connection keeps.
  std::size_t output_kept = 16 * 1024;       ///< A larger output buffer is freed once sent.
  std::size_t round_requests_max = 64;       ///< Pipelined requests answered in one write.
  std::size_t round_bytes_max = 256 * 1024;  ///< Output of one round, but for its last answer.
  /// Of requests that are not whole and answers that are not taken, all connections together,
  /// beyond read_buffer and output_kept of each. More: 503 to the one, the other is closed.
  std::size_t buffered_max = 256 * 1024 * 1024;

  Milliseconds first_byte{10'000};      ///< From accept; then closed without an answer.
  Milliseconds header{5'000};           ///< From a request's first byte; then 408.
  Milliseconds body{10'000};            ///< From the end of the header; then 408.
  Milliseconds write_progress{10'000};  ///< No byte taken for so long: closed.
  Milliseconds idle{75'000};            ///< Between requests; then closed.
  /// Idle for so long, or without a first byte: closed for another one, when there are too many.
  Milliseconds makes_way{5'000};
  Milliseconds linger{2'000};  ///< Reading on after a refusal, so that the client sees it and not a
  std::size_t linger_bytes = 16 * 1024 * 1024;  ///< reset, also in the middle of a large body.
  Milliseconds drain_first_byte{500};           ///< For who connected just before a stop.
  /// For the request of a connection too many; then 503. Also instead of its write_progress.
  Milliseconds over_limit{1'000};

  std::size_t stream_piece = 64 * 1024;  ///< What a stream is asked for at a time.
  Milliseconds stream_silence{15'000};   ///< After so long without an event a comment is sent.

  Milliseconds tick{100};            ///< How exactly the times above are kept.
  Milliseconds accept_pause{100};    ///< After running out of file descriptors.
  std::size_t turned_away_max = 64;  ///< Lingering 503s of one worker; more: closed.
  /// Of these, who can send their request before, which may be for /healthz; more: 503 at once.
  std::size_t heard_max = 16;
};

}  // namespace locker::server
