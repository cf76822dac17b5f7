#include <set>
#include <utility>

#include "core/arbiter.hpp"

namespace locker::core {
namespace {

constexpr std::size_t waiters_counted_max = 1'000;
constexpr std::size_t lease_bytes = 224;  // the approximate memory of one

}  // namespace

void Arbiter::stop_timer(const LivingLease& lease) {
  const std::uint32_t timer = table_.timer_of(lease.handle);
  if (timer == 0) return;
  deadlines_.remove(timer);
  table_.set_timer(lease.handle, 0);
}

/// The lease's waiting requests must not shorten the TTL that its clients can now rely on.
void Arbiter::note_renewal(const Token& token) {
  for (Waiter* const waiter : waiters_.of(token)) waiter->lease_was_renewed = true;
}

/// Gives the lease's owner to its waiting requests that have none.
void Arbiter::name_waiters(const Token& token, std::string_view owner) {
  for (Waiter* const waiter : waiters_.of(token)) {
    if (waiter->owner.empty()) waiter->owner = owner;
  }
}

void Arbiter::restart_timer(const Token& token) {
  note_renewal(token);
  const LivingLease lease = *table_.find_lease_of(token);
  stop_timer(lease);
  if (lease.ttl.count() == 0) return;
  start_timer(lease, now_.instant + std::chrono::milliseconds{lease.ttl.count()});
}

void Arbiter::start_timer(const LivingLease& lease, Instant deadline) {
  table_.set_timer(lease.handle,
                   deadlines_.add(deadline, DeadlineQueue::Kind::lease, lease.handle));
}

/// The caller must restart the lease's timer.
void Arbiter::change_ttl(const LivingLease& lease, Milliseconds ttl) {
  stop_timer(lease);
  record(TtlChanged{lease.token, ttl});
}

bool Arbiter::is_only_lock(const LivingLease& lease) const {
  std::size_t count = 0;
  table_.for_each_lock_of(lease, [&count](const HeldLock&) { return ++count < 2; });
  return count == 1;
}

/// The count of a lease with very many locks is kept, so that it is not made again for each lock.
std::size_t Arbiter::count_locks_of(const LivingLease& lease) const {
  const auto known = counts_of_large_leases_.find(lease.token);
  if (known != counts_of_large_leases_.end()) return known->second;
  std::size_t count = 0;
  table_.for_each_lock_of(lease, [&count](const HeldLock&) { return ++count > 0; });
  if (count > limits_.ended_at_once_max) counts_of_large_leases_[lease.token] = count;
  return count;
}

/// Updates the count, if it is kept: the lease has got a lock, or has lost one.
void Arbiter::count_lock(const Token& token, bool is_new) {
  const auto many = counts_of_large_leases_.find(token);
  if (many == counts_of_large_leases_.end()) return;
  many->second = is_new ? many->second + 1 : many->second - 1;
  if (many->second == 0) counts_of_large_leases_.erase(many);
}

/// Does not return a lease that is expiring: that still has locks, but cannot be revived.
Arbiter::MaybeLease Arbiter::find_living(const Token& token) const {
  return expiring_.contains(token) ? std::nullopt : table_.find_lease_of(token);
}

/// An expiring lease counts as expired, whatever else is remembered: it can remain in this state
/// for as long as the journal has no room for its end.
std::optional<EndedMemory::Ended> Arbiter::ended_lease(const Token& token) const {
  if (expiring_.contains(token)) return EndedMemory::Ended{End::expired, 0, ""};
  return ended_.find_lease(token, now_.instant);
}

LeaseAnswer Arbiter::open_lease(const std::optional<Token>& chosen, const Token& fresh,
                                const std::optional<std::string>& owner, Milliseconds ttl,
                                const Now& now) {
  now_ = now;
  LeaseAnswer answer;
  answer.token = chosen.value_or(fresh);
  answer.owner = owner.value_or("");
  answer.ttl = ttl;
  if (chosen) {
    if (auto known = answer_known_lease(*chosen, answer.owner, ttl)) return std::move(*known);
  }
  if (table_.lease_count() >= limits_.leases_max || table_.is_nearly_full()) {
    answer.outcome = LeaseOutcome::too_many;
    return answer;
  }
  if (!has_memory_for(lease_bytes + answer.owner.size())) {
    answer.outcome = LeaseOutcome::too_much_memory;
    return answer;
  }
  if (const Room room = host_->room_for(record_bytes_max, false); room != Room::enough) {
    answer.outcome = refusal<LeaseOutcome>(room);
    return answer;
  }
  if (chosen) ended_.forget_lease(*chosen);
  record(LeaseOpened{answer.token, {take_fence(), 0}, answer.owner, ttl});
  opened_.insert(answer.token);
  name_waiters(answer.token, answer.owner);
  restart_timer(answer.token);
  answer.outcome = LeaseOutcome::opened;
  return answer;
}

LeaseAnswer Arbiter::renew(const Token& token, std::optional<Milliseconds> ttl, const Now& now) {
  now_ = now;
  LeaseAnswer answer;
  const MaybeLease lease = find_living(token);
  if (!lease) {
    answer.ended = ended_lease(token);
    answer.outcome = answer.ended ? LeaseOutcome::ended : LeaseOutcome::unknown;
    return answer;
  }
  answer.token = token;
  answer.owner = lease->owner;  // copied before the lease changes, which invalidates the view
  if (ttl && *ttl != lease->ttl) {
    // Not from the reserve, which all need for releases: one client that keeps changing its TTL
    // would use it up.
    if (const Room room = host_->room_for(record_bytes_max, false); room != Room::enough) {
      answer.outcome = refusal<LeaseOutcome>(room);
      return answer;
    }
    change_ttl(*lease, *ttl);
  }
  restart_timer(token);
  answer.ttl = ttl.value_or(lease->ttl);
  answer.locks = count_locks_of(*lease);
  table_.for_each_newest_lock_of(*lease, [&](const HeldLock& newest) {
    answer.newest_fence = newest.id.fence;
    return false;
  });
  if (queue_.is_empty()) return answer;
  WaitQueue::Seen seen;
  std::set<Ticket> waiting;  // one request can wait for several locks
  std::size_t looked_at = 0;
  table_.for_each_lock_of(*lease, [&](const HeldLock& held) {
    if (++looked_at > locks_looked_at_max) return false;
    queue_.visit_clashes({table_.path_of(held), held.shape}, seen, [&](const Waiter& waiter) {
      if (waiter.token != token) waiting.insert(waiter.ticket);
      return waiting.size() < waiters_counted_max;
    });
    return waiting.size() < waiters_counted_max;
  });
  answer.waiters = waiting.size();
  return answer;
}

}  // namespace locker::core
