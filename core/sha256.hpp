#pragma once

#include <array>
#include <cstdint>
#include <string_view>

namespace locker::core {

using Sha256 = std::array<std::uint8_t, 32>;

/// Returns the SHA-256 of `message` (FIPS 180-4).
[[nodiscard]] Sha256 sha256(std::string_view message);

/// Compares in constant time, wherever the two differ.
[[nodiscard]] bool is_equal_in_constant_time(const Sha256& a, const Sha256& b);

}  // namespace locker::core
