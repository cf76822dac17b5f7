#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <optional>
#include <string>
#include <vector>

#include "core/arbiter.hpp"

namespace locker::server {

/// Lists what is held and what waits, page by page. A page costs some milliseconds at the most,
/// whatever there is. Remembers where the last pages ended, as long as there are not more lists at
/// a time than LockTable has cursors, so that the next page of each need not look for its place.
/// Not thread-safe.
class LockPages {
 public:
  struct Query {
    std::string packed_prefix;
    std::optional<std::string> owner;
    std::optional<core::LockInfo::State> state;  ///< None: held and cooling.
    std::size_t limit = 100;                     ///< Fewer when their texts are long.
    std::optional<core::LockId> after;           ///< As `next` said; null: from the beginning.
  };
  struct Page {
    std::vector<core::LockInfo> locks;
    /// Null: this was the last one. Others can have one behind them without being full.
    std::optional<core::LockId> next;
  };

  /// `arbiter` must outlive this, and nobody else uses the cursors of its table but itself.
  explicit LockPages(core::Arbiter& arbiter) : arbiter_(arbiter) {}
  LockPages(const LockPages&) = delete;
  LockPages& operator=(const LockPages&) = delete;

  /// In order of grant, or of the queue.
  [[nodiscard]] Page list(const Query& query);
  /// What the lease holds, in order of grant.
  [[nodiscard]] Page list_lease(const core::LivingLease& lease, std::optional<core::LockId> after);

 private:
  /// Where a page ended that another one may follow.
  struct Bookmark {
    std::string prefix;
    std::optional<core::LockId> after;  // null: it is free
    std::uint64_t used = 0;
  };
  /// The last lock of a page of a lease, and where it is.
  struct LastOfPage {
    core::LockId id;
    std::string packed_path;
  };

  [[nodiscard]] Page list_held(const Query& query);
  [[nodiscard]] Page list_waiting(const Query& query) const;
  [[nodiscard]] std::size_t find_cursor(const Query& query);
  void keep_bookmark(std::size_t slot, const std::string& prefix, core::LockId after);

  core::Arbiter& arbiter_;
  // By slot of the table's cursors. The first ones are Arbiter's, and never free.
  std::vector<Bookmark> bookmarks_ = std::vector<Bookmark>(
      core::Arbiter::cursors_of_force, {"", {}, std::numeric_limits<std::uint64_t>::max()});
  std::uint64_t bookmarks_used_ = 0;
  std::array<LastOfPage, 16> last_of_pages_;
  std::size_t next_of_pages_ = 0;  // that makes way for another
};

}  // namespace locker::server
