#pragma once

namespace locker::core {

/// Begins to fetch the cache line of `place` from memory; changes nothing else.
inline void prefetch(const void* place) {
  __builtin_prefetch(place);
  // g++ 12 takes a function that only prefetches for one without effect, and leaves its call out
  // where it did not inline it first. A statement that it must not look into keeps it.
  asm volatile("");
}

}  // namespace locker::core
