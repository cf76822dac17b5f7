#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>

#include "core/held_lock.hpp"
#include "core/lock_table.hpp"
#include "core/path.hpp"

namespace locker::core {

/// A place in the locks at a path, or at and below it, in order of grant, which stays right while
/// locks come and go if it is kept.
class LockCursor {
 public:
  enum class Reach : std::uint8_t { at_and_below, at };
  /// Before the oldest lock that it reaches. `table` must outlive this.
  LockCursor(const LockTable& table, PathView path, Reach reach = Reach::at_and_below);
  ~LockCursor();
  LockCursor(const LockCursor&) = delete;
  LockCursor& operator=(const LockCursor&) = delete;

  /// The next lock, which the cursor then stands behind; null at the end, where others may come.
  [[nodiscard]] std::optional<HeldLock> next();
  /// Moves it behind this lock's place, over at most `limit` locks. False: it is not there yet.
  [[nodiscard]] bool skip(LockId behind, std::size_t limit);
  /// Before the table changes, if the cursor is used again then.
  void keep();
  /// After that, with the path that it was opened with. One that was not kept, or that has had no
  /// lock to reach meanwhile, is opened anew.
  void resume(PathView path);

 private:
  friend class LockTable;
  void open(PathView path);
  [[nodiscard]] std::size_t list_count() const { return reach_ == Reach::at ? 2 : behind_.size(); }
  [[nodiscard]] std::uint32_t next_of(std::size_t list) const;

  const LockTable& table_;
  const Reach reach_;
  std::array<std::uint32_t, 6> behind_{};  // by list of the path's node; null: before the first
  std::uint32_t node_ = 0;
  std::size_t level_ = 0;
};

}  // namespace locker::core
