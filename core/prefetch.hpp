#pragma once

namespace locker::core {

/// Begins to fetch the cache line of `place` from memory; has no other effect.
inline void prefetch(const void* place) {
  __builtin_prefetch(place);
  // g++ 12 treats a function that only prefetches as one without effects, and removes calls that it
  // has not inlined. A statement that is opaque to the compiler keeps them.
  asm volatile("");
}

}  // namespace locker::core
