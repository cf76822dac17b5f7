#pragma once

#include <cstdio>
#include <cstring>
#include <string>
#include <string_view>

#include "core/lock_table.hpp"

namespace locker::bench {

struct HeldSegment {
  char text[9];
  [[nodiscard]] std::string_view view() const { return {text, 8}; }
};

inline HeldSegment held_segment(char kind, std::uint64_t number) {
  HeldSegment segment;
  std::snprintf(segment.text, sizeof segment.text, "%c%07u", kind, static_cast<unsigned>(number));
  return segment;
}

/// Returns the path of the n-th of many locks, of four segments of eight bytes: ten locks under
/// each parent, a hundred parents in each folder, and so on. With another leaf: a sibling of a held
/// lock.
inline core::Path path_number(std::uint64_t n, char leaf = 'd') {
  core::Path path;
  static_cast<void>(path.push_back(held_segment('a', n / 100'000).view()));
  static_cast<void>(path.push_back(held_segment('b', n / 1'000).view()));
  static_cast<void>(path.push_back(held_segment('c', n / 10).view()));
  static_cast<void>(path.push_back(held_segment(leaf, n).view()));
  return path;
}

/// Returns the text of the n-th lock's parent path, without the leading slash.
inline std::string held_parent(std::uint64_t n) {
  std::string text{held_segment('a', n / 100'000).view()};
  text.append("/").append(held_segment('b', n / 1'000).view());
  return text.append("/").append(held_segment('c', n / 10).view());
}

/// One step of SplitMix64 (Steele, Lea, Flood 2014): spreads a number over all bits.
inline std::uint64_t spread(std::uint64_t n) {
  n += 0x9E3779B97F4A7C15;
  n = (n ^ (n >> 30U)) * 0xBF58476D1CE4E5B9;
  n = (n ^ (n >> 27U)) * 0x94D049BB133111EB;
  return n ^ (n >> 31U);
}

inline core::Token token_number(std::uint64_t n) {
  core::Token token;
  const std::uint64_t halves[2] = {spread(n), spread(~n)};
  std::memcpy(token.bytes.data(), halves, sizeof halves);
  return token;
}

/// Grants the locks numbered from 1 to `count`, with their number as fence.
inline void hold(core::LockTable& table, std::uint64_t count) {
  for (std::uint64_t n = 1; n <= count; ++n) {
    const core::Path path = path_number(n);
    table.apply(core::Granted{token_number(n), {n, 0}, {}, {}, path});
  }
}

}  // namespace locker::bench
