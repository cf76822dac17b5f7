#pragma once

#include <cstdio>
#include <cstdlib>

/// Aborts if the condition does not hold, which only a bug of ours can cause. Active in every
/// build: a lock server that carries on after a broken invariant is worse than one that stops.
#define LOCKER_ASSERT(condition)                                                             \
  do {                                                                                       \
    if (!(condition)) [[unlikely]] {                                                         \
      std::fprintf(stderr, "%s:%d: broken invariant: %s\n", __FILE__, __LINE__, #condition); \
      std::abort();                                                                          \
    }                                                                                        \
  } while (false)
