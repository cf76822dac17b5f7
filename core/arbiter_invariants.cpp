#include <set>

#include "core/arbiter.hpp"
#include "core/assert.hpp"

namespace locker::core {

void Arbiter::check_invariants() const {
  table_.check_invariants();
  waiters_.check_invariants();
  std::size_t queued = 0;
  std::size_t looked_at = 0;
  for (const auto& [ticket, waiter] : waiters_.by_ticket()) {
    const bool is_looked_at = rechecks_.contains(*waiter);
    const bool is_registered = !waiter->registrations.empty();
    looked_at += is_looked_at ? 1U : 0U;
    if (waiter->is_kept) {
      LOCKER_ASSERT(waiter->timer != 0 && !is_looked_at && !is_registered);
      continue;
    }
    ++queued;
    LOCKER_ASSERT(is_looked_at != is_registered);
    for (const Dependants* const list : waiter->registrations) {
      LOCKER_ASSERT(list->at(waiter->ticket) == waiter);
    }
  }
  LOCKER_ASSERT(queued == queue_.size() && looked_at == rechecks_.size());
  for (const auto& [lock, list] : watchers_) LOCKER_ASSERT(table_.is_watched(lock));
  std::set<Token> granted;  // leases that a grant opened
  table_.for_each_lock([&](const HeldLock& held) {
    const MaybeLease lease = table_.lease_of(held);
    if (lease && lease->opened.fence == 0) granted.insert(lease->token);
  });
  LOCKER_ASSERT(granted.size() + opened_.size() == table_.lease_count());
  for (const Token& token : opened_) {
    const MaybeLease lease = table_.find_lease_of(token);
    LOCKER_ASSERT(lease && lease->opened.fence != 0);
  }
}

}  // namespace locker::core
