#include "tests/core/oracle_lock_table.hpp"

#include <algorithm>

namespace locker::core {
namespace {

/// DESIGN's blocks(L, Q), word for word.
bool blocks(PathView held, const Shape& shape, PathView asked) {
  return held == asked || (shape.lock_parents && asked.is_ancestor_of(held)) ||
         (shape.lock_children && held.is_ancestor_of(asked));
}

}  // namespace

std::optional<LockId> OracleLockTable::blocker(const AcquireRequest& request) const {
  // The nearest at or above the path wins, else the oldest; held_ is in order of grant.
  const Held* best = nullptr;
  for (const Held& held : held_) {
    const PathView path{held.path};
    if (request.token && held.token == *request.token) continue;
    if (held.shape.mode == Mode::shared && request.shape.mode == Mode::shared) continue;
    const bool clashes =
        blocks(path, held.shape, request.path) ||
        (request.rule == ClashRule::symmetric && blocks(request.path, request.shape, path));
    if (!clashes) continue;
    const auto above = [&](const Held& lock) {
      return lock.path.size() <= request.path.packed().size();
    };
    if (best == nullptr || (above(held) && !above(*best)) ||
        (above(held) && held.path.size() > best->path.size())) {
      best = &held;
    }
  }
  if (best == nullptr) return std::nullopt;
  return best->id;
}

bool OracleLockTable::holds_clash(const Token& token, PathView path, const Shape& shape) const {
  return std::any_of(held_.begin(), held_.end(), [&](const Held& held) {
    return held.token == token &&
           (held.shape.mode == Mode::exclusive || shape.mode == Mode::exclusive) &&
           (blocks(PathView{held.path}, held.shape, path) ||
            blocks(path, shape, PathView{held.path}));
  });
}

void OracleLockTable::end(LockId id) {
  std::erase_if(held_, [id](const Held& held) { return held.id == id; });
}

}  // namespace locker::core
