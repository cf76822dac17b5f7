#pragma once

#include <cstddef>
#include <string>
#include <string_view>

namespace locker::server {

/// The body of one request as it comes with `Transfer-Encoding: chunked`. Takes neither extensions
/// of chunks nor trailers. Not thread-safe.
class ChunkedBody {
 public:
  enum class Outcome {
    incomplete,
    too_large,
    bad,
    whole,  ///< The body are the first size() bytes.
  };
  /// Goes on behind the chunks that were found before in these bytes, which are all from the body's
  /// begin. `size_max` is of the data with what frames all but the last of it.
  [[nodiscard]] Outcome find_end(std::string_view bytes, std::size_t size_max);
  /// Of the chunks that were found so far.
  [[nodiscard]] std::size_t size() const { return size_; }
  /// The data, good until reset(). REQUIRES: the bytes are a whole body.
  [[nodiscard]] std::string_view join(std::string_view bytes);
  /// For the next request.
  void reset();

 private:
  std::size_t size_ = 0;
  std::string joined_;
};

}  // namespace locker::server
