#include <set>

#include "core/arbiter.hpp"
#include "core/assert.hpp"

namespace locker::core {

void Arbiter::check_invariants() const {
  table_.check_invariants();
  waiters_.check_invariants();
  std::size_t queued = 0;
  for (const auto& [ticket, waiter] : waiters_.by_ticket()) {
    const bool is_looked_after = !waiter->registrations.empty() ||
                                 recheck_.contains(waiter->ticket) ||
                                 delayed_.contains(waiter->ticket);
    if (waiter->is_kept) {
      LOCKER_ASSERT(waiter->timer != 0 && !is_looked_after);
      continue;
    }
    ++queued;
    LOCKER_ASSERT(is_looked_after);
    for (const Dependants* const list : waiter->registrations) {
      LOCKER_ASSERT(list->at(waiter->ticket) == waiter);
    }
  }
  LOCKER_ASSERT(queued == queue_.size());
  for (const auto* const tickets : {&recheck_, &delayed_}) {
    for (const auto& [ticket, waiter] : *tickets) {
      LOCKER_ASSERT(waiters_.by_ticket().at(ticket) == waiter);
    }
  }
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
