#pragma once

#include "core/lock.hpp"
#include "core/path.hpp"

namespace locker::core {

/// Whether a lock of this shape at `from` reaches `to`: its own path, paths below it if it locks
/// its children, and paths above it if it locks its parents.
[[nodiscard]] inline bool blocks(PathView from, const Shape& shape, PathView to) {
  return from == to || (shape.lock_children && from.is_ancestor_of(to)) ||
         (shape.lock_parents && to.is_ancestor_of(from));
}

/// Whether locks of these modes exclude each other if one reaches the other.
[[nodiscard]] constexpr bool clash(Mode a, Mode b) {
  return a == Mode::exclusive || b == Mode::exclusive;
}

/// Whether two leases cannot hold these locks at the same time, by the symmetric rule.
[[nodiscard]] inline bool clash(PathView a, const Shape& a_shape, PathView b,
                                const Shape& b_shape) {
  return clash(a_shape.mode, b_shape.mode) && (blocks(a, a_shape, b) || blocks(b, b_shape, a));
}

}  // namespace locker::core
