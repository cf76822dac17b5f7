#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

#include "core/lock.hpp"

namespace locker::server {

/// Generates tokens: version 4 UUIDs (RFC 9562) from the system's CSPRNG, read a page at a time.
/// Not thread-safe.
class TokenSource {
 public:
  /// Aborts if the kernel cannot provide randomness, which it can once it is up.
  [[nodiscard]] core::Token next();

 private:
  std::array<std::uint8_t, 4096> bytes_;
  std::size_t used_ = sizeof bytes_;
};

/// Returns eight bytes from the system's CSPRNG, for seeding hashes, so that no client can choose
/// names that collide.
[[nodiscard]] std::uint64_t random_seed();

}  // namespace locker::server
