#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

#include "core/lock.hpp"

namespace locker::server {

/// Makes tokens: UUIDs of version 4 (RFC 9562) from the system's CSPRNG, fetched a page at a time.
/// Not thread-safe.
class TokenSource {
 public:
  /// Aborts when the kernel has no randomness to give, which it has once it is up.
  [[nodiscard]] core::Token next();

 private:
  std::array<std::uint8_t, 4096> bytes_;
  std::size_t used_ = sizeof bytes_;
};

/// Eight bytes from the system's CSPRNG: where hashes start, so that no client can choose names
/// that collide.
[[nodiscard]] std::uint64_t random_seed();

}  // namespace locker::server
