#pragma once

#include "core/lock.hpp"
#include "core/path.hpp"

namespace locker::core::oracle {

// The clash rules of core/DESIGN.md, implemented independently, so that an error in core/clash.hpp
// or core/path.hpp is not repeated here.

[[nodiscard]] inline bool is_below(PathView path, PathView folder) {
  auto at = path.begin();
  for (const std::string_view segment : folder) {
    if (at == path.end() || *at != segment) return false;
    ++at;
  }
  return at != path.end();
}

/// Whether a lock blocks a path, by its own flags alone.
[[nodiscard]] inline bool blocks(PathView lock, const Shape& shape, PathView path) {
  return lock.packed() == path.packed() || (shape.lock_parents && is_below(lock, path)) ||
         (shape.lock_children && is_below(path, lock));
}

[[nodiscard]] inline bool are_both_shared(const Shape& a, const Shape& b) {
  return a.mode == Mode::shared && b.mode == Mode::shared;
}

/// Whether two locks of different leases clash by the symmetric rule.
[[nodiscard]] inline bool clash(PathView a, const Shape& a_shape, PathView b,
                                const Shape& b_shape) {
  if (are_both_shared(a_shape, b_shape)) return false;
  return blocks(a, a_shape, b) || blocks(b, b_shape, a);
}

}  // namespace locker::core::oracle
