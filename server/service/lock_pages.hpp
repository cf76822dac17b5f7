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

/// Lists held locks and waiting requests, page by page. A page costs a few milliseconds at most,
/// however many there are. Remembers where the last pages ended, for up to bookmarks_max lists at a
/// time, so that the next page need not search for its place. Not thread-safe.
class LockPages {
 public:
  struct Query {
    std::string packed_prefix;
    std::optional<std::string> owner;
    std::optional<core::LockInfo::State> state;  ///< None: held and cooling.
    std::size_t limit = 100;                     ///< Fewer if their texts are long.
    std::optional<core::LockId> after;  ///< Page::next of the page before; null: the first page.
  };
  struct Page {
    std::vector<core::LockInfo> locks;
    /// Null: there are no more pages. A page that is not full may have another one after it.
    std::optional<core::LockId> next;
  };

  static constexpr std::size_t bookmarks_max = 256;

  /// `arbiter` must outlive this.
  explicit LockPages(const core::Arbiter& arbiter) : arbiter_(arbiter) {}
  LockPages(const LockPages&) = delete;
  LockPages& operator=(const LockPages&) = delete;

  /// Returns a page in order of grant, or in the order of the queue.
  [[nodiscard]] Page list(const Query& query);
  /// Returns a page of the locks that the lease holds, in order of grant.
  [[nodiscard]] Page list_lease(const core::LivingLease& lease, std::optional<core::LockId> after);

 private:
  /// Where a page ended that may have another one after it.
  struct Bookmark {
    std::string prefix;
    core::LockId after;
    std::unique_ptr<core::LockCursor> cursor;
  };
  /// The last lock on a page of a lease, and its path.
  struct LastOfPage {
    core::LockId id;
    std::string packed_path;
  };

  [[nodiscard]] Page list_held(const Query& query);
  [[nodiscard]] Page list_waiting(const Query& query) const;
  [[nodiscard]] std::unique_ptr<core::LockCursor> take_cursor(const Query& query);
  void keep_bookmark(Bookmark&& bookmark);

  const core::Arbiter& arbiter_;
  std::deque<Bookmark> bookmarks_;  // the most recent is the last one
  std::array<LastOfPage, 16> last_of_pages_;
  std::size_t next_of_pages_ = 0;  // index of the next one to overwrite
};

}  // namespace locker::server
