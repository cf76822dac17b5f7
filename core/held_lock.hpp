#pragma once

#include <cstdint>
#include <string_view>

#include "core/lock.hpp"

namespace locker::core {

// What LockTable has, seen from outside. Both are good until the table changes.

struct HeldLock {
  LockId id;
  Shape shape;
  std::string_view owner;    ///< Empty when unknown.
  std::uint32_t handle = 0;  ///< For the calls of LockTable; the same as long as the lock is held.
  bool is_cooling = false;   ///< No lease has it any more; it only blocks.
};

struct LivingLease {
  Token token;
  std::string_view owner;
  Milliseconds ttl{};
  LockId opened;  ///< The id under which it was opened; fence zero: by a grant.
  bool has_locks = false;
  std::uint32_t handle = 0;  ///< For the calls of LockTable; the same as long as the lease lives.
};

}  // namespace locker::core
