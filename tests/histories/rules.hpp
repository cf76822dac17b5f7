#pragma once

#include <string_view>

#include "tests/histories/history.hpp"

namespace locker::histories {

// What README and API.md say of who is in whose way, written from there and not from the code.

[[nodiscard]] inline bool is_below(std::string_view path, std::string_view folder) {
  if (folder == "/") return path != "/";
  return path.size() > folder.size() && path.starts_with(folder) && path[folder.size()] == '/';
}

[[nodiscard]] inline bool is_at_or_below(std::string_view path, std::string_view folder) {
  return path == folder || is_below(path, folder);
}

/// Whether a lock keeps others from a path, by its own flags alone: the rule of Locker 1.0b.
[[nodiscard]] inline bool blocks(std::string_view at, const Shape& shape, std::string_view path) {
  return at == path || (shape.lock_parents && is_below(at, path)) ||
         (shape.lock_children && is_below(path, at));
}

/// Whether two locks of different leases clash by the rule of /v1.
[[nodiscard]] inline bool clash(std::string_view a, const Shape& a_shape, std::string_view b,
                                const Shape& b_shape) {
  if (a_shape.is_shared && b_shape.is_shared) return false;
  return blocks(a, a_shape, b) || blocks(b, b_shape, a);
}

}  // namespace locker::histories
