#include "tests/core/oracle_lock_table.hpp"

#include <algorithm>

#include "tests/core/oracle_rules.hpp"

namespace locker::core {

std::optional<LockId> OracleLockTable::blocker(const AcquireRequest& request) const {
  // The nearest at or above the path wins, else the oldest; held_ is in order of grant.
  const Held* best = nullptr;
  for (const Held& held : held_) {
    const PathView path{held.path};
    if (request.token && held.token == *request.token) continue;
    const bool clashes = request.rule == ClashRule::symmetric
                             ? oracle::clash(path, held.shape, request.path, request.shape)
                             : !oracle::are_both_shared(held.shape, request.shape) &&
                                   oracle::blocks(path, held.shape, request.path);
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
    return held.token == token && oracle::clash(PathView{held.path}, held.shape, path, shape);
  });
}

void OracleLockTable::end(LockId id) {
  std::erase_if(held_, [id](const Held& held) { return held.id == id; });
}

}  // namespace locker::core
