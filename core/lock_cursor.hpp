#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>

#include "core/held_lock.hpp"
#include "core/lock_table.hpp"
#include "core/path.hpp"

namespace locker::core {

/// A position among the locks at a path, or at and below it, in order of grant. If it is kept, it
/// stays valid while locks come and go; if for a time there is no lock at all in its reach, it
/// starts from the beginning again.
class LockCursor {
 public:
  enum class Reach : std::uint8_t { at_and_below, at };
  /// Starts before the oldest lock in its reach. `table` must outlive this.
  LockCursor(const LockTable& table, PathView path, Reach reach = Reach::at_and_below);
  ~LockCursor();
  LockCursor(const LockCursor&) = delete;
  LockCursor& operator=(const LockCursor&) = delete;

  /// Moves past the next lock and returns it; null at the end, where further locks may be added.
  [[nodiscard]] std::optional<HeldLock> next();
  /// Moves past all locks up to this id; each costs one of `steps`. Returns false if there were not
  /// enough.
  [[nodiscard]] bool skip(LockId behind, std::size_t& steps);
  /// Call before the table changes, if the cursor is to be used afterwards.
  void keep();

 private:
  friend class LockTable;
  void resume();
  [[nodiscard]] std::size_t list_count() const { return reach_ == Reach::at ? 2 : behind_.size(); }
  [[nodiscard]] std::uint32_t next_of(std::size_t list) const;

  const LockTable& table_;
  const std::string packed_path_;
  const Reach reach_;
  bool is_kept_ = false;
  // By list of the path's node: the last lock that it moved past; null: it is before the first.
  std::array<std::uint32_t, 6> behind_{};
  std::uint32_t node_ = 0;
  std::size_t level_ = 0;
};

}  // namespace locker::core
