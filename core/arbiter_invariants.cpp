#include <algorithm>
#include <set>

#include "core/arbiter.hpp"
#include "core/assert.hpp"

namespace locker::core {

void Arbiter::check_invariants() const {
  table_.check_invariants();
  std::size_t queued = 0;
  std::size_t bytes = 0;
  std::size_t paths = 0;
  for (const auto& [id, waiter] : waiters_) {
    LOCKER_ASSERT(waiter->id == id && by_ticket_.at(waiter->ticket) == waiter.get());
    const auto& same = by_token_.at(waiter->token);
    LOCKER_ASSERT(std::count(same.begin(), same.end(), waiter.get()) == 1);
    bytes += waiter->bytes;
    paths += waiter->wanted.size();
    for (const Wanted& wanted : waiter->wanted) {
      LOCKER_ASSERT(wanted_.at({waiter->token, wanted.packed_path}) == waiter.get());
    }
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
      LOCKER_ASSERT(list->at(waiter->ticket) == waiter.get());
    }
  }
  LOCKER_ASSERT(queued == queue_.size() && bytes == waiting_bytes_);
  LOCKER_ASSERT(by_ticket_.size() == waiters_.size() && wanted_.size() == paths);
  for (const auto* const tickets : {&recheck_, &delayed_}) {
    for (const auto& [ticket, waiter] : *tickets) LOCKER_ASSERT(by_ticket_.at(ticket) == waiter);
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
