#include <algorithm>

#include "core/arbiter.hpp"
#include "core/clash.hpp"

namespace locker::core {

LockInfo Arbiter::describe(const HeldLock& held) const {
  LockInfo info;
  info.packed_path = table_.path_of(held).view().packed();
  info.shape = held.shape;
  info.owner = held.owner;
  info.fence = held.id.fence;
  info.meta = table_.meta_of(held);
  if (held.is_cooling) {
    info.state = LockInfo::State::cooling;
    info.expires = deadlines_.deadline_of(cooling_timers_.at(held.id));
    return info;
  }
  const LivingLease lease = *table_.lease_of(held);
  info.ttl = lease.ttl;
  info.expires = expiry_of(lease);
  return info;
}

std::optional<Instant> Arbiter::expiry_of(const LivingLease& lease) const {
  const std::uint32_t timer = table_.timer_of(lease.handle);
  if (timer == 0) return std::nullopt;
  return deadlines_.deadline_of(timer);
}

std::optional<LockInfo> Arbiter::awaited_by(PathView path) const {
  Waiter newcomer;
  newcomer.ticket = ~Ticket{0};  // behind all waiters
  newcomer.wanted.push_back({std::string{path.packed()}, {}});
  const Waiter* first = &newcomer;
  queue_.visit_at(path, [&](const Waiter& waiter) {
    first = &waiter;
    return false;
  });
  const auto wanted = std::find_if(first->wanted.begin(), first->wanted.end(),
                                   [&](const auto& its) { return its.path() == path; });
  Passed passed;
  const Waiter* const other =
      waiter_in_the_way(*first, *wanted, table_.find_lease_of(first->token), passed);
  if (other == nullptr) return std::nullopt;
  return describe(*other, *std::find_if(other->wanted.begin(), other->wanted.end(), [&](auto& its) {
    return clash(its.path(), its.shape, wanted->path(), wanted->shape);
  }));
}

LockInfo Arbiter::describe(const Waiter& waiter, const Wanted& wanted) {
  LockInfo info;
  info.packed_path = wanted.packed_path;
  info.shape = wanted.shape;
  info.owner = waiter.owner;
  info.state = LockInfo::State::waiting;
  info.waiting_since = waiter.since;
  info.is_kept = waiter.is_kept || waiter.is_leaving;
  info.meta = waiter.meta;
  return info;
}

Covering Arbiter::covering(PathView path, std::size_t limit, std::size_t counted_max) const {
  Covering covering;
  const auto add = [&](const HeldLock& held, std::vector<LockInfo>& infos, std::size_t& count) {
    if (infos.size() < limit) infos.push_back(describe(held));
    return ++count < counted_max;
  };
  table_.for_each_lock_at(path, [&](const HeldLock& held) {
    return add(held, covering.holders, covering.holder_count);
  });
  table_.for_each_blocker(
      {path, {}, ClashRule::symmetric, std::nullopt},
      [&](const HeldLock& held) { return add(held, covering.elsewhere, covering.elsewhere_count); },
      false);
  return covering;
}

std::vector<LockInfo> Arbiter::waiting_at(PathView path, std::size_t limit) const {
  std::vector<LockInfo> infos;
  queue_.visit_at(path, [&](const Waiter& waiter) {
    for (const Wanted& wanted : waiter.wanted) {
      if (wanted.path() == path) infos.push_back(describe(waiter, wanted));
    }
    return infos.size() < limit;
  });
  return infos;
}

}  // namespace locker::core
