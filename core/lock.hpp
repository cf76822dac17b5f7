#pragma once

#include <array>
#include <bit>
#include <chrono>
#include <compare>
#include <cstdint>
#include <string_view>

namespace locker::core {

// The value types of locks and leases: Fence, Token, Mode, Shape, ClashRule, LockId, End and
// Milliseconds. The locks themselves are in LockTable; a HeldLock (held_lock.hpp) is a view of one.

/// A fencing token. Rises with every grant, also over restarts; below 2^53, so that every JSON
/// reader represents it exactly. Zero is no fence. A grant's fence is the time of the decision in
/// microseconds since 1970, or one more than the fence before it if that is higher; so it also
/// shows since when a lock is held.
///
/// After an older backup is restored, fences go on rising only if the wall clock is right, and past
/// the highest fence ever given: the backup does not contain that one.
using Fence = std::uint64_t;

/// The secret that proves the possession of a lease: the 16 bytes of a version 4 UUID.
struct Token {
  std::array<std::uint8_t, 16> bytes{};
  [[nodiscard]] std::string_view view() const {
    return {reinterpret_cast<const char*>(bytes.data()), sizeof bytes};
  }
  friend auto operator<=>(const Token&, const Token&) = default;
  /// Compares two words: g++ 12 compiles the default operator to a call.
  friend bool operator==(const Token& a, const Token& b) {
    using Words = std::array<std::uint64_t, 2>;
    const auto words_a = std::bit_cast<Words>(a.bytes);
    const auto words_b = std::bit_cast<Words>(b.bytes);
    return words_a[0] == words_b[0] && words_a[1] == words_b[1];
  }
};

enum class Mode : std::uint8_t { exclusive, shared };

/// How a lock clashes: with which others (mode), and how far up and down the tree (flags).
struct Shape {
  Mode mode = Mode::exclusive;
  bool lock_parents = true;
  bool lock_children = true;
  friend bool operator==(const Shape&, const Shape&) = default;
};

/// Whose flags count when a request meets a held lock.
enum class ClashRule : std::uint8_t {
  /// The 1.0b calls: only those of the held lock, so what is granted depends on the order.
  holder_only,
  /// Those of both: two locks clash in both orders or in neither.
  symmetric,
};

/// Identifies one lock; as unique as its fence. Locks that one request was granted share a fence
/// and differ in their position.
struct LockId {
  Fence fence = 0;
  std::uint16_t position = 0;
  friend auto operator<=>(const LockId&, const LockId&) = default;
};

/// Why a lock or a lease ended.
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

/// A TTL or a lock-delay. Up to 49 days; zero: none.
using Milliseconds = std::chrono::duration<std::uint32_t, std::milli>;

/// Whether TTL `a` is longer than `b`. Zero is no TTL, which is longer than any.
[[nodiscard]] constexpr bool is_longer_ttl(Milliseconds a, Milliseconds b) {
  return b.count() != 0 && (a.count() == 0 || a > b);
}

}  // namespace locker::core
