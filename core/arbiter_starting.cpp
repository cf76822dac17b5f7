#include <algorithm>

#include "core/arbiter.hpp"

namespace locker::core {
namespace {

constexpr std::uint64_t steps_without_index = 64;  // of a search

}  // namespace

/// Journals name the lock that ends by its id. A command has found it by its path before. An index
/// of all locks is made when long searches have taken as much as it takes, about.
std::optional<HeldLock> Arbiter::find_replayed(const Token& token, LockId id) {
  const std::uint64_t before = table_.search_steps();
  const auto held = table_.find(token, id);
  const std::uint64_t steps = table_.search_steps() - before;
  if (steps > steps_without_index) long_search_steps_ += steps;
  if (long_search_steps_ > table_.lock_count()) {
    table_.make_index();
    long_search_steps_ = 0;
  }
  return held;
}

bool Arbiter::replay(const Record& record) {
  std::optional<HeldLock> held;
  Token token;
  End reason = End::released;
  std::optional<Fence> ended_lease;  // one that was opened by itself
  if (const auto* const ended = std::get_if<Ended>(&record)) {
    held = find_replayed(ended->token, ended->id);
    token = ended->token;
    reason = ended->reason;
    // A lock that has cooled has no token: none, and not that of a lease which is all zeros.
    const MaybeLease lease = held ? std::nullopt : table_.find_lease_of(token);
    if (lease && lease->opened == ended->id) ended_lease = ended->id.fence;
  } else if (const auto* const cooling = std::get_if<Cooling>(&record)) {
    held = find_replayed(cooling->token, cooling->id);
    token = cooling->token;
    reason = cooling->reason;
  } else if (const auto* const opened = std::get_if<LeaseOpened>(&record)) {
    opened_.insert(opened->token);
  }
  last_fence_ = std::max(last_fence_, fence_given_by(record));
  const std::optional<Path> path = held ? std::optional<Path>{table_.path_of(*held)} : std::nullopt;
  if (!table_.try_apply(record)) return false;
  if (path && reason != End::changed) {
    ended_.remember_lock(token, *path, {reason, held->id.fence, ""}, now_.instant);
    if (!table_.find_lease_of(token)) {
      ended_.remember_lease(token, {reason, held->id.fence, ""}, now_.instant);
      expiring_.erase(token);
    } else if (reason == End::expired) {
      expiring_.insert(token);
    }
  } else if (ended_lease) {
    ended_.remember_lease(token, {reason, *ended_lease, ""}, now_.instant);
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
// whose end had begun is at its end: who renews it would not hear that some of its locks are gone.
void Arbiter::start_timers() {
  table_.for_each_lock([this](const HeldLock& held) {
    if (held.is_cooling) {
      const Milliseconds delay = table_.lock_delay_of(held);
      cooling_timers_[held.id] = deadlines_.add(Instant{std::chrono::milliseconds{delay.count()}},
                                                DeadlineQueue::Kind::cooling, held.handle);
      return;
    }
    const LivingLease lease = *table_.lease_of(held);
    if (lease.ttl.count() != 0 && table_.timer_of(lease.handle) == 0) restart_timer(lease.token);
  });
  for (const Token& token : opened_) {
    if (table_.find_lease_of(token)->ttl.count() != 0) restart_timer(token);
  }
  for (const Token& token : expiring_) {
    const LivingLease lease = *table_.find_lease_of(token);
    stop_timer(lease);
    start_timer(lease, now_.instant);
  }
}

}  // namespace locker::core
