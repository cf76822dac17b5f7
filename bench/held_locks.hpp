#pragma once

#include <cstdio>
#include <cstring>
#include <random>
#include <string>

#include "core/lock_table.hpp"

namespace locker::bench {

/// The n-th of many locks on paths of four segments of eight bytes: ten under each parent, a
/// hundred parents in each folder, and so on.
inline core::Path path_number(std::uint64_t n) {
  core::Path path;
  const auto push = [&path](char kind, std::uint64_t number) {
    char segment[9];
    std::snprintf(segment, sizeof segment, "%c%07u", kind, static_cast<unsigned>(number));
    static_cast<void>(path.push_back({segment, 8}));
  };
  push('a', n / 100'000);
  push('b', n / 1'000);
  push('c', n / 10);
  push('d', n);
  return path;
}

inline core::Token token_number(std::uint64_t n) {
  // Spread over all bits, as random tokens are.
  std::mt19937_64 random{n};
  core::Token token;
  const std::uint64_t halves[2] = {random(), random()};
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
