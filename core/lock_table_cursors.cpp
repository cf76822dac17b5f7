#include "core/assert.hpp"
#include "core/lock_table_layout.hpp"

namespace locker::core {
namespace {

constexpr std::uint32_t null = UnitArena::null;

}  // namespace

void LockTable::open_cursor(std::size_t slot, PathView path, Reach reach) {
  LOCKER_ASSERT(slot < cursors_max);
  if (cursors_.size() <= slot) cursors_.resize(slot + 1);
  Cursor& cursor = cursors_[slot] = Cursor{};
  cursor.reach = reach;
  const Found& found = find_nodes(path);
  if (!found.is_whole()) return;
  cursor.node = found.nodes[found.level];
  cursor.level = found.level;
}

// A node goes with the last of its locks. What the cursor stood behind is gone then, too, and all
// that is there in a later node, be it in the same place, is new.
void LockTable::resume_cursor(std::size_t slot, PathView path) {
  LOCKER_ASSERT(slot < cursors_.size());
  const Found& found = find_nodes(path);
  const std::uint32_t there = found.is_whole() ? found.nodes[found.level] : null;
  Cursor& cursor = cursors_[slot];
  if (!cursor.is_kept || cursor.node != there) return open_cursor(slot, path, cursor.reach);
  cursor.is_kept = false;
}

std::uint32_t LockTable::next_of(const Cursor& cursor, std::size_t list) const {
  const List& of = list_of(node(cursor.node), list);
  return cursor.behind[list] == null ? of.first : next_of(of, cursor.behind[list], cursor.level);
}

// Only these locks have the mark, so that the end of others costs nothing.
void LockTable::keep_cursor(std::size_t slot) {
  LOCKER_ASSERT(slot < cursors_.size());
  cursors_[slot].is_kept = true;
  for (const std::uint32_t at : cursors_[slot].behind) {
    if (at != null) lock(at).set(Lock::bit_under_cursor);
  }
}

std::optional<HeldLock> LockTable::advance_cursor(std::size_t slot) {
  LOCKER_ASSERT(slot < cursors_.size());
  Cursor& cursor = cursors_[slot];
  if (cursor.node == null) return std::nullopt;
  std::uint32_t oldest = null;
  std::size_t its_list = 0;
  for (std::size_t list = 0; list < cursor.lists(); ++list) {
    const std::uint32_t next = next_of(cursor, list);
    if (next == null || (oldest != null && lock(oldest).id() < lock(next).id())) continue;
    oldest = next;
    its_list = list;
  }
  if (oldest == null) return std::nullopt;
  cursor.behind[its_list] = oldest;
  return lock_at(oldest);
}

bool LockTable::skip_cursor(std::size_t slot, LockId behind, std::size_t limit) {
  LOCKER_ASSERT(slot < cursors_.size());
  Cursor& cursor = cursors_[slot];
  if (cursor.node == null) return true;
  for (std::size_t list = 0; list < cursor.lists(); ++list) {
    const List& of = list_of(node(cursor.node), list);
    std::uint32_t last = cursor.behind[list];
    std::uint32_t next = next_of(cursor, list);
    for (; next != null && lock(next).id() <= behind && limit > 0; --limit) {
      last = next;
      next = next_of(of, last, cursor.level);
    }
    cursor.behind[list] = last;
    if (next != null && lock(next).id() <= behind) return false;
  }
  return true;
}

/// The lock goes.
void LockTable::move_cursors_before(std::uint32_t at) {
  for (Cursor& cursor : cursors_) {
    if (!cursor.is_kept) continue;
    for (std::uint32_t& behind : cursor.behind) {
      if (behind != at) continue;
      behind = links(lock(at))[cursor.level].previous;
      if (behind != null) lock(behind).set(Lock::bit_under_cursor);
    }
  }
}

}  // namespace locker::core
