#pragma once

#include <cstddef>
#include <string>
#include <string_view>

namespace locker::server {

/// Decodes a request body with `Transfer-Encoding: chunked`. Refuses chunk extensions and trailers.
/// Not thread-safe.
class ChunkedBody {
 public:
  enum class Outcome {
    incomplete,
    too_large,
    bad,
    whole,  ///< The encoded body is the first size() bytes.
  };
  /// Goes on after the chunks found by earlier calls. `bytes` always starts at the beginning of the
  /// body. `size_max` bounds the data, plus the framing of all chunks but the last.
  [[nodiscard]] Outcome find_end(std::string_view bytes, std::size_t size_max);
  /// Size of the chunks found so far, with their framing.
  [[nodiscard]] std::size_t size() const { return size_; }
  /// Returns the data, valid until reset(). REQUIRES: `bytes` is a whole body.
  [[nodiscard]] std::string_view join(std::string_view bytes);
  /// Prepares for the next request.
  void reset();

 private:
  std::size_t size_ = 0;
  std::string joined_;
};

}  // namespace locker::server
