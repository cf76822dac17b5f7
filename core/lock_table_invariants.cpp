#include <map>
#include <set>
#include <utility>
#include <vector>

#include "core/assert.hpp"
#include "core/lock_table.hpp"
#include "core/lock_table_layout.hpp"

namespace locker::core {

void LockTable::check_invariants() const {
  // What the lists have to contain according to the locks: (node, list) -> locks in order.
  std::map<std::pair<std::uint32_t, std::size_t>, std::vector<std::uint32_t>> expected;
  std::map<std::uint32_t, std::size_t> levels{{root_, 0}};
  std::set<std::uint32_t> leases;
  std::size_t count = 0;
  std::size_t delayed = 0;
  LockId last;
  for_each_lock([&](const HeldLock& held) {
    ++count;
    if (!held.is_cooling && lock_delay_of(held).count() != 0) ++delayed;
    LOCKER_ASSERT(held.id > last);
    last = held.id;
    const Lock& at = lock(held.handle);
    LOCKER_ASSERT(held.is_cooling == (at.lease == UnitArena::null));
    LOCKER_ASSERT(held.is_cooling == (cooling_.count(held.id) != 0));
    if (!held.is_cooling) leases.insert(at.lease);
    expected[{at.node, held.shape.lock_children ? 1U : 0U}].push_back(held.handle);
    std::uint32_t current = at.node;
    for (std::size_t level = at.depth;; --level) {
      levels[current] = level;
      if (level == 0) break;
      current = node(current).parent;
      const std::size_t list = 2 + below_index(held.shape.mode, held.shape.lock_parents);
      expected[{current, list}].push_back(held.handle);
    }
    LOCKER_ASSERT(current == root_);
  });
  LOCKER_ASSERT(count == lock_count_ && delayed == delayed_count_);
  std::size_t living = 0;
  std::size_t with_deadline = 0;
  leases_.for_each([&](std::uint32_t at) {
    ++living;
    const LeaseTerms* const terms = terms_of(lease(at));
    const bool was_opened = terms != nullptr && terms->opened_fence != 0;
    LOCKER_ASSERT(leases.contains(at) == (lease(at).first_lock != UnitArena::null));
    LOCKER_ASSERT(leases.contains(at) || was_opened);
    if (terms != nullptr && terms->has_deadline()) ++with_deadline;
  });
  LOCKER_ASSERT(living == leases_.size() && with_deadline == deadline_count_);
  for (const std::uint32_t at : leases) {
    const std::uint32_t first = lease(at).first_lock;
    std::uint32_t previous = lock(first).lease_previous;
    for (std::uint32_t of = first; of != UnitArena::null; of = lock(of).lease_next) {
      LOCKER_ASSERT(lock(of).lease == at && lock(of).lease_previous == previous);
      previous = of;
    }
    LOCKER_ASSERT(lock(first).lease_previous == previous);
  }
  LOCKER_ASSERT(levels.size() == nodes_.size() + 1);
  for (const auto& [at, level] : levels) {
    LOCKER_ASSERT(at == root_ || !is_empty(node(at)));
    for (std::size_t list = 0; list < 6; ++list) {
      const List& actual = list_of(node(at), list);
      std::uint32_t previous = UnitArena::null;
      std::uint32_t current = actual.first;
      for (const std::uint32_t member : expected[{at, list}]) {
        LOCKER_ASSERT(current == member);
        LOCKER_ASSERT(links(lock(current))[level].previous == previous);
        previous = current;
        current = next_of(actual, current, level);
      }
      LOCKER_ASSERT(current == UnitArena::null && actual.last == previous);
    }
  }
}

}  // namespace locker::core
