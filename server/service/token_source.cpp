#include "server/service/token_source.hpp"

#include <sys/random.h>

#include <cerrno>
#include <cstring>

#include "core/assert.hpp"

namespace locker::server {
namespace {

void fill_random(std::uint8_t* bytes, std::size_t size) {
  while (size > 0) {
    const ssize_t got = ::getrandom(bytes, size, 0);
    LOCKER_ASSERT(got > 0 || errno == EINTR);
    if (got <= 0) continue;
    bytes += got;
    size -= static_cast<std::size_t>(got);
  }
}

}  // namespace

core::Token TokenSource::next() {
  if (used_ == bytes_.size()) {
    fill_random(bytes_.data(), bytes_.size());
    used_ = 0;
  }
  core::Token token;
  std::memcpy(token.bytes.data(), bytes_.data() + used_, sizeof token.bytes);
  std::memset(bytes_.data() + used_, 0, sizeof token.bytes);  // keep each secret in one place only
  used_ += sizeof token.bytes;
  token.bytes[6] = static_cast<std::uint8_t>((token.bytes[6] & 0x0FU) | 0x40U);
  token.bytes[8] = static_cast<std::uint8_t>((token.bytes[8] & 0x3FU) | 0x80U);
  return token;
}

std::uint64_t random_seed() {
  std::uint8_t bytes[8];
  fill_random(bytes, sizeof bytes);
  std::uint64_t seed = 0;
  std::memcpy(&seed, bytes, sizeof seed);
  return seed;
}

}  // namespace locker::server
