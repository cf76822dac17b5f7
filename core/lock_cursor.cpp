#include "core/lock_cursor.hpp"

#include "core/lock_table_layout.hpp"

namespace locker::core {
namespace {

constexpr std::uint32_t null = UnitArena::null;

}  // namespace

LockCursor::LockCursor(const LockTable& table, PathView path, Reach reach)
    : table_(table), packed_path_(path.packed()), reach_(reach) {
  resume();
}

LockCursor::~LockCursor() { table_.kept_cursors_.erase(this); }

/// A node is removed with the last of its locks. The locks that the cursor moved past are gone
/// then, too, and everything in a later node is new, even if that is in the same place.
void LockCursor::resume() {
  if (is_kept_) table_.kept_cursors_.erase(this);
  is_kept_ = false;
  const auto& found = table_.find_nodes(PathView{packed_path_});
  const std::uint32_t there = found.is_whole() ? found.nodes[found.level] : null;
  if (node_ != there) behind_ = {};
  node_ = there;
  level_ = found.level;
}

std::uint32_t LockCursor::next_of(std::size_t list) const {
  const auto& of = table_.list_of(table_.node(node_), list);
  return behind_[list] == null ? of.first : table_.next_of(of, behind_[list], level_);
}

// Only these locks are marked, so that the end of others costs nothing.
void LockCursor::keep() {
  is_kept_ = true;
  table_.kept_cursors_.insert(this);
  for (const std::uint32_t at : behind_) {
    if (at != null) table_.lock(at).set(LockTable::Lock::bit_under_cursor);
  }
}

std::optional<HeldLock> LockCursor::next() {
  if (is_kept_) resume();
  if (node_ == null) return std::nullopt;
  std::uint32_t oldest = null;
  std::size_t its_list = 0;
  for (std::size_t list = 0; list < list_count(); ++list) {
    const std::uint32_t next = next_of(list);
    if (next == null || (oldest != null && table_.lock(oldest).id() < table_.lock(next).id())) {
      continue;
    }
    oldest = next;
    its_list = list;
  }
  if (oldest == null) return std::nullopt;
  behind_[its_list] = oldest;
  return table_.lock_at(oldest);
}

bool LockCursor::skip(LockId behind, std::size_t& steps) {
  if (is_kept_) resume();
  if (node_ == null) return true;
  for (std::size_t list = 0; list < list_count(); ++list) {
    const auto is_before = [&](std::uint32_t at) {
      return at != null && table_.lock(at).id() <= behind;
    };
    std::uint32_t next = next_of(list);
    for (; is_before(next) && steps > 0; --steps) {
      behind_[list] = next;
      next = next_of(list);
    }
    if (is_before(next)) return false;
  }
  return true;
}

/// Called before the lock is removed.
void LockTable::move_cursors_before(std::uint32_t at) {
  for (LockCursor* const cursor : kept_cursors_) {
    for (std::uint32_t& behind : cursor->behind_) {
      if (behind != at) continue;
      behind = links(lock(at))[cursor->level_].previous;
      if (behind != null) lock(behind).set(Lock::bit_under_cursor);
    }
  }
}

}  // namespace locker::core
