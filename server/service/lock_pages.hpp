#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "core/arbiter.hpp"
#include "core/lock_cursor.hpp"

namespace locker::server {

/// Lists what is held and what waits, page by page. A page costs some milliseconds at the most,
/// whatever there is. Remembers where the last pages ended, as long as there are not more lists at
/// a time than bookmarks_max, so that the next page of each need not look for its place.
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

  static constexpr std::size_t bookmarks_max = 256;

  /// `arbiter` must outlive this.
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
    core::LockId after;
    std::unique_ptr<core::LockCursor> cursor;
  };
  /// The last lock of a page of a lease, and where it is.
  struct LastOfPage {
    core::LockId id;
    std::string packed_path;
  };

  [[nodiscard]] Page list_held(const Query& query);
  [[nodiscard]] Page list_waiting(const Query& query) const;
  [[nodiscard]] std::unique_ptr<core::LockCursor> take_cursor(const Query& query);
  void keep_bookmark(Bookmark&& bookmark);

  core::Arbiter& arbiter_;
  std::deque<Bookmark> bookmarks_;  // the one that was kept last is the last one
  std::array<LastOfPage, 16> last_of_pages_;
  std::size_t next_of_pages_ = 0;  // that makes way for another
};

}  // namespace locker::server
