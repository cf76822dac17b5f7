#pragma once

#include <array>
#include <bit>
#include <chrono>
#include <compare>
#include <cstdint>
#include <string_view>

namespace locker::core {

/// Rises with every grant for ever, over restarts and restored backups; below 2^53, so that it is
/// exact in every JSON reader. Zero is no fence. A grant's fence is the microseconds since 1970
/// when it was decided, or one more than the fence before it: so it also tells since when a lock is
/// held.
using Fence = std::uint64_t;

/// The secret that proves a lease: the 16 bytes of a version 4 UUID.
struct Token {
  std::array<std::uint8_t, 16> bytes{};
  [[nodiscard]] std::string_view view() const {
    return {reinterpret_cast<const char*>(bytes.data()), sizeof bytes};
  }
  friend auto operator<=>(const Token&, const Token&) = default;
  /// As two words: g++ 12 makes the default one a call.
  friend bool operator==(const Token& a, const Token& b) {
    using Words = std::array<std::uint64_t, 2>;
    const auto words_a = std::bit_cast<Words>(a.bytes);
    const auto words_b = std::bit_cast<Words>(b.bytes);
    return words_a[0] == words_b[0] && words_a[1] == words_b[1];
  }
};

enum class Mode : std::uint8_t { exclusive, shared };

/// How a lock clashes: with whom (mode) and how far up and down the tree it reaches (flags).
struct Shape {
  Mode mode = Mode::exclusive;
  bool lock_parents = true;
  bool lock_children = true;
  friend bool operator==(const Shape&, const Shape&) = default;
};

/// Whose flags are asked when a request meets a held lock.
enum class ClashRule : std::uint8_t {
  /// The calls of 1.0b: only the held lock's flags. What is granted depends on the order.
  holder_only,
  /// Either's: two locks clash in both orders or in none.
  symmetric,
};

/// Names one lock for ever. Locks taken together share a fence and differ in their position.
struct LockId {
  Fence fence = 0;
  std::uint16_t position = 0;
  friend auto operator<=>(const LockId&, const LockId&) = default;
};

/// Why a lock or a lease is no more.
enum class End : std::uint8_t {
  released,
  expired,
  forced,
  changed,  ///< Upgraded or downgraded: a new lock of the same lease is at the path.
  cooled,   ///< Expired or forced before, and its lock-delay has passed.
};

[[nodiscard]] constexpr std::string_view name_of(End end) {
  switch (end) {
    case End::released:
      return "released";
    case End::expired:
      return "expired";
    case End::forced:
      return "forced";
    case End::changed:
      return "changed";
    case End::cooled:
      break;
  }
  return "cooled";
}

/// How long a lease lives, how long a lock cools. Up to 49 days; zero: not at all.
using Milliseconds = std::chrono::duration<std::uint32_t, std::milli>;

/// Of two TTLs. Zero is no TTL, which is longer than any.
[[nodiscard]] constexpr bool is_longer_ttl(Milliseconds a, Milliseconds b) {
  return b.count() != 0 && (a.count() == 0 || a > b);
}

}  // namespace locker::core
