#pragma once

#include <cstdint>
#include <string_view>

#include "core/lock.hpp"

namespace locker::core {

// Views of the locks and leases in LockTable. Both are valid until the table changes.

struct HeldLock {
  LockId id;
  Shape shape;
  std::string_view owner;    ///< Empty when unknown.
  std::uint32_t handle = 0;  ///< For calls of LockTable; constant until the lock ends.
  bool is_cooling = false;   ///< It belongs to no lease any more; it only blocks.
};

struct LivingLease {
  Token token;
  std::string_view owner;
  Milliseconds ttl{};
  LockId opened;  ///< The id under which it was opened explicitly; fence zero: a grant opened it.
  bool has_locks = false;
  std::uint32_t handle = 0;  ///< For calls of LockTable; constant while the lease lives.
};

}  // namespace locker::core
