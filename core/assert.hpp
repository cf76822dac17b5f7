#pragma once

#include <cstdio>
#include <cstdlib>

/// States what only a bug of ours can break. On in every build: a lock server that goes on after
/// one is worse than one that stops.
#define LOCKER_ASSERT(condition)                                                             \
  do {                                                                                       \
    if (!(condition)) [[unlikely]] {                                                         \
      std::fprintf(stderr, "%s:%d: broken invariant: %s\n", __FILE__, __LINE__, #condition); \
      std::abort();                                                                          \
    }                                                                                        \
  } while (false)
