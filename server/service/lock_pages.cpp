#include "server/service/lock_pages.hpp"

#include <algorithm>
#include <utility>

namespace locker::server {
namespace {

using core::LockInfo;

constexpr std::size_t looked_at_max = 10'000;
constexpr std::size_t skipped_max = 100'000;
constexpr std::size_t lease_page_max = 1'000;
/// Bound on the texts of a page and what is written around them: a client that asks for a lot and
/// does not read it must not cost a lot.
constexpr std::size_t page_bytes_max = 512 * 1024;

/// A page that is being filled.
struct OpenPage {
  std::size_t limit = 0;
  LockPages::Page page = {};
  std::size_t bytes = 0;

  [[nodiscard]] bool is_full() const {
    return page.locks.size() >= limit || bytes >= page_bytes_max;
  }
  void add(LockInfo info) {
    bytes += 256 + info.packed_path.size() + info.owner.size() + info.meta.size();
    page.locks.push_back(std::move(info));
  }
};

}  // namespace

LockPages::Page LockPages::list(const Query& query) {
  return query.state == LockInfo::State::waiting ? list_waiting(query) : list_held(query);
}

LockPages::Page LockPages::list_held(const Query& query) {
  OpenPage open{query.limit};
  core::LockId last = query.after.value_or(core::LockId{});
  auto cursor = take_cursor(query);
  std::size_t steps = skipped_max;
  if (!cursor->skip(last, steps)) {
    // The place is far away. If the same page is requested again, it goes on from here: no other
    // request waits while millions of locks are walked.
    keep_bookmark({query.packed_prefix, last, std::move(cursor)});
    return {{}, last};
  }
  for (std::size_t looked_at = 0; looked_at < looked_at_max && !open.is_full(); ++looked_at) {
    const auto held = cursor->next();
    if (!held) return std::move(open.page);
    last = held->id;
    if (query.owner && held->owner != *query.owner) continue;
    if (query.state && (*query.state == LockInfo::State::cooling) != held->is_cooling) continue;
    open.add(arbiter_.describe(*held));
  }
  open.page.next = last;
  keep_bookmark({query.packed_prefix, last, std::move(cursor)});
  return std::move(open.page);
}

/// Returns the cursor that the previous page left there, or a new one at the beginning.
std::unique_ptr<core::LockCursor> LockPages::take_cursor(const Query& query) {
  const auto at = std::find_if(bookmarks_.begin(), bookmarks_.end(), [&](const Bookmark& each) {
    return query.after == each.after && query.packed_prefix == each.prefix;
  });
  if (at == bookmarks_.end()) {
    return std::make_unique<core::LockCursor>(arbiter_.table(),
                                              core::PathView{query.packed_prefix});
  }
  auto cursor = std::move(at->cursor);
  bookmarks_.erase(at);
  return cursor;
}

void LockPages::keep_bookmark(Bookmark&& bookmark) {
  if (bookmarks_.size() == bookmarks_max) bookmarks_.pop_front();
  bookmark.cursor->keep();
  bookmarks_.push_back(std::move(bookmark));
}

LockPages::Page LockPages::list_waiting(const Query& query) const {
  OpenPage open{query.limit};
  const core::PathView prefix{query.packed_prefix};
  // A waiter's ticket, and the position of one of its paths.
  const core::LockId first = query.after.value_or(core::LockId{});
  std::size_t looked_at = 0;
  arbiter_.for_each_waiter(first.fence, [&](const core::Waiter& waiter) {
    core::LockId at{waiter.ticket, 0};
    if (looked_at >= looked_at_max) {
      open.page.next = at;
      return false;
    }
    looked_at += waiter.wanted.size();
    if (query.owner && waiter.owner != *query.owner) return true;
    for (const auto& wanted : waiter.wanted) {
      const bool is_wanted =
          at >= first && (wanted.path() == prefix || prefix.is_ancestor_of(wanted.path()));
      if (is_wanted && open.is_full()) {
        open.page.next = at;
        return false;
      }
      if (is_wanted) open.add(core::Arbiter::describe(waiter, wanted));
      ++at.position;
    }
    return true;
  });
  return std::move(open.page);
}

LockPages::Page LockPages::list_lease(const core::LivingLease& lease,
                                      std::optional<core::LockId> after) {
  OpenPage open{lease_page_max};
  const core::LockTable& table = arbiter_.table();
  core::LockId last = after.value_or(core::LockId{});
  const auto find_last = [this](core::LockId id) {
    return std::find_if(last_of_pages_.begin(), last_of_pages_.end(),
                        [&](const LastOfPage& each) { return each.id == id; });
  };
  std::optional<core::HeldLock> before;  // where the walk begins; its path leads there directly
  if (const auto known = find_last(last); after && known != last_of_pages_.end()) {
    before = table.held_by(lease, core::PathView{known->packed_path});
  }
  const auto add = [&](const core::HeldLock& held) {
    if (open.is_full()) {
      open.page.next = last;
      return false;
    }
    last = held.id;
    open.add(arbiter_.describe(held));
    return true;
  };
  if (before && before->id == last) {
    table.for_each_lock_behind(*before, add);
  } else {
    table.for_each_lock_of(lease, add, last);
  }
  if (open.page.next && find_last(last) == last_of_pages_.end()) {
    last_of_pages_[next_of_pages_] = {last, open.page.locks.back().packed_path};
    next_of_pages_ = (next_of_pages_ + 1) % last_of_pages_.size();
  }
  return std::move(open.page);
}

}  // namespace locker::server
