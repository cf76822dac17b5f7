#include "server/http/chunked_body.hpp"

#include "core/hex_digit.hpp"

namespace locker::server {
namespace {

constexpr std::size_t chunk_digits_max = 8;
constexpr std::string_view line_end = "\r\n";

struct Chunk {
  enum class State { incomplete, bad, whole };
  State state = State::incomplete;
  std::size_t data_size = 0;   ///< Once it is known.
  std::string_view data;       ///< If the chunk is whole, as is the next one.
  std::size_t whole_size = 0;  ///< With its framing.
};

/// Reads the chunk at the start of `bytes`. The last chunk, which has no data, is whole when the
/// body is.
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

}  // namespace

ChunkedBody::Outcome ChunkedBody::find_end(std::string_view bytes, std::size_t size_max) {
  while (true) {
    const Chunk chunk = read_chunk(bytes.substr(size_));
    // Includes the framing of the chunks before it, which is most of it if they are tiny.
    const bool is_too_large = chunk.data_size > 0 && size_ + chunk.data_size > size_max;
    if (is_too_large) return Outcome::too_large;
    if (chunk.state == Chunk::State::bad) return Outcome::bad;
    if (chunk.state != Chunk::State::whole) return Outcome::incomplete;
    size_ += chunk.whole_size;
    if (chunk.data_size == 0) return Outcome::whole;
  }
}

std::string_view ChunkedBody::join(std::string_view bytes) {
  joined_.reserve(bytes.size());
  while (!bytes.empty()) {
    const Chunk chunk = read_chunk(bytes);
    joined_ += chunk.data;
    bytes.remove_prefix(chunk.whole_size);
  }
  return joined_;
}

void ChunkedBody::reset() {
  size_ = 0;
  std::string{}.swap(joined_);
}

}  // namespace locker::server
