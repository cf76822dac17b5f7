#pragma once

#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <string_view>

namespace locker::core {

/// Up to sixteen bytes as two words, which together with the size are unique to these bytes. The
/// words overlap instead of being padded, so that reads stay within the piece, without a loop or a
/// call.
struct ShortPiece {
  std::uint64_t first = 0;
  std::uint64_t last = 0;

  static constexpr std::size_t size_max = 16;

  explicit ShortPiece(std::string_view piece) {
    const char* const begin = piece.data();
    const std::size_t size = piece.size();
    if (size >= 8) {
      first = load<std::uint64_t>(begin);
      last = load<std::uint64_t>(begin + size - 8);
    } else if (size >= 4) {
      first = load<std::uint32_t>(begin);
      last = load<std::uint32_t>(begin + size - 4);
    } else if (size > 0) {
      first = load<std::uint8_t>(begin);
      const std::uint64_t middle = load<std::uint8_t>(begin + size / 2);
      last = middle << 8U | load<std::uint8_t>(begin + size - 1);
    }
  }
  bool operator==(const ShortPiece&) const = default;

 private:
  template <typename Word>
  static Word load(const char* at) {
    Word word;
    std::memcpy(&word, at, sizeof word);
    return word;
  }
};

/// Folds a hash to half as many bits, each of which depends on both halves.
[[nodiscard]] inline std::uint32_t fold(std::uint64_t hash) {
  return static_cast<std::uint32_t>(hash >> 32U) ^ static_cast<std::uint32_t>(hash);
}

/// A seeded, incremental hash: the hash of a path's prefix is the state from which the hash of the
/// next longer prefix is computed. Not cryptographic; the seed keeps clients from choosing names
/// that collide. Each step folds the 128-bit product of two words into one (as in wyhash, by Wang
/// Yi). The secret state is in both words, so that no choice of input can make either zero.
class Hash {
 public:
  explicit Hash(std::uint64_t seed) : state_(mix(seed ^ odd_a, odd_b)) {}

  [[nodiscard]] Hash then(std::string_view piece) const {
    Hash next = *this;
    const std::uint64_t size = piece.size();
    while (piece.size() > ShortPiece::size_max) {
      next.step(ShortPiece{piece.substr(0, ShortPiece::size_max)}, odd_a);
      piece.remove_prefix(ShortPiece::size_max);
    }
    next.step(ShortPiece{piece}, odd_b + size);
    return next;
  }

  [[nodiscard]] std::uint64_t value() const { return state_; }
  [[nodiscard]] std::uint32_t folded() const { return fold(state_); }

 private:
  static constexpr std::uint64_t odd_a = 0x9E3779B97F4A7C15;  // 2^64 / golden ratio
  static constexpr std::uint64_t odd_b = 0xD1342543DE82EF95;
  __extension__ using Wide = unsigned __int128;

  static std::uint64_t mix(std::uint64_t a, std::uint64_t b) {
    const Wide product = static_cast<Wide>(a) * b;
    return static_cast<std::uint64_t>(product) ^ static_cast<std::uint64_t>(product >> 64U);
  }
  void step(const ShortPiece& piece, std::uint64_t salt) {
    state_ = mix(state_ ^ piece.first, std::rotl(state_, 32) ^ piece.last ^ salt);
  }

  std::uint64_t state_;
};

}  // namespace locker::core
