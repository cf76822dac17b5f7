#include <algorithm>

#include "core/arbiter.hpp"

namespace locker::core {

bool Arbiter::replay(const Record& record) {
  const std::optional<HeldLock> held = table_.find_ended(record);
  Token token;
  End reason = End::released;
  bool ends_opened_lease = false;
  if (const auto* const ended = std::get_if<Ended>(&record)) {
    token = ended->token;
    reason = ended->reason;
    const MaybeLease lease = held ? std::nullopt : table_.find_lease_of(token);
    ends_opened_lease = lease && lease->opened == ended->id;
  } else if (const auto* const cooling = std::get_if<Cooling>(&record)) {
    token = cooling->token;
    reason = cooling->reason;
  } else if (const auto* const opened = std::get_if<LeaseOpened>(&record)) {
    opened_.insert(opened->token);
  }
  last_fence_ = std::max(last_fence_, fence_given_by(record));
  // The end of a cooling lock was remembered when its cooling began.
  std::optional<Path> path;
  if (held && !held->is_cooling) path = table_.path_of(*held);
  if (!table_.try_apply(record, held)) return false;
  if (path && reason != End::changed) {
    ended_.remember_lock(token, *path, {reason, held->id.fence, ""}, now_.instant);
    if (!table_.find_lease_of(token)) {
      ended_.remember_lease(token, {reason, 0, ""}, now_.instant);
      expiring_.erase(token);
    } else if (reason == End::expired) {
      expiring_.insert(token);
    }
  } else if (ends_opened_lease) {
    ended_.remember_lease(token, {reason, 0, ""}, now_.instant);
    expiring_.erase(token);
    opened_.erase(token);
  }
  return true;
}

void Arbiter::start(Host& host, Fence first_fence) {
  host_ = &host;
  table_.forget_index();
  last_fence_ = std::max(last_fence_, first_fence - 1);
  if (table_.has_deadlines()) start_timers();
}

// Every lease has its whole TTL again, and every cooling lock its whole lock-delay. But a lease
// whose expiry had begun ends immediately: a client that renewed it would not learn that some of
// its locks are gone.
void Arbiter::start_timers() {
  const auto restart = [this](const LivingLease& lease) {
    restart_timer(lease.token);
    if (lease.ttl == expiring_ttl) expiring_.insert(lease.token);
  };
  table_.for_each_lock([&](const HeldLock& held) {
    if (held.is_cooling) {
      const Milliseconds delay = table_.lock_delay_of(held);
      cooling_timers_[held.id] = deadlines_.add(Instant{std::chrono::milliseconds{delay.count()}},
                                                DeadlineQueue::Kind::cooling, held.handle);
      return;
    }
    const LivingLease lease = *table_.lease_of(held);
    if (lease.ttl.count() != 0 && table_.timer_of(lease.handle) == 0) restart(lease);
  });
  for (const Token& token : opened_) {
    const LivingLease lease = *table_.find_lease_of(token);
    if (lease.ttl.count() != 0) restart(lease);
  }
  for (const Token& token : expiring_) {
    const LivingLease lease = *table_.find_lease_of(token);
    stop_timer(lease);
    start_timer(lease, now_.instant);
  }
}

}  // namespace locker::core
