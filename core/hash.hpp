#pragma once

#include <cstdint>
#include <cstring>
#include <string_view>

namespace locker::core {

/// A seeded hash that goes on from one piece to the next: the hash of a path's prefix is the state
/// from which the hash of the next longer one is made. Not cryptographic; the seed keeps clients
/// from choosing names that collide. Each step is the 128-bit product of two words folded to one
/// (as in wyhash, by Wang Yi).
class Hash {
 public:
  explicit Hash(std::uint64_t seed) : state_(mix(seed ^ odd_a, odd_b)) {}

  [[nodiscard]] Hash then(std::string_view piece) const {
    std::uint64_t state = mix(state_ ^ odd_b, odd_a ^ piece.size());
    while (piece.size() >= 8) {
      std::uint64_t word = 0;
      std::memcpy(&word, piece.data(), 8);
      state = mix(state ^ word, odd_b);
      piece.remove_prefix(8);
    }
    std::uint64_t word = 0;
    std::memcpy(&word, piece.data(), piece.size());
    Hash next = *this;
    next.state_ = mix(state ^ word, odd_a);
    return next;
  }

  [[nodiscard]] std::uint64_t value() const { return state_; }
  [[nodiscard]] std::uint32_t folded() const {
    return static_cast<std::uint32_t>(state_ >> 32U) ^ static_cast<std::uint32_t>(state_);
  }

 private:
  static constexpr std::uint64_t odd_a = 0x9E3779B97F4A7C15;  // 2^64 / golden ratio
  static constexpr std::uint64_t odd_b = 0xD1342543DE82EF95;
  __extension__ using Wide = unsigned __int128;

  static std::uint64_t mix(std::uint64_t a, std::uint64_t b) {
    const Wide product = static_cast<Wide>(a) * b;
    return static_cast<std::uint64_t>(product) ^ static_cast<std::uint64_t>(product >> 64U);
  }

  std::uint64_t state_;
};

}  // namespace locker::core
