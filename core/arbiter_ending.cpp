#include <algorithm>
#include <utility>

#include "core/arbiter.hpp"
#include "core/clash.hpp"

namespace locker::core {
namespace {

constexpr std::size_t waiters_counted_max = 1'000;

EventKind event_of(End reason) {
  switch (reason) {
    case End::expired:
      return EventKind::expired;
    case End::forced:
      return EventKind::forced;
    case End::cooled:
      return EventKind::cooled;
    case End::released:
    case End::changed:
      break;
  }
  return EventKind::released;
}

}  // namespace

bool Arbiter::replay(const Record& record) {
  std::optional<HeldLock> held;
  Token token;
  End reason = End::released;
  std::optional<Fence> ended_lease;  // one that was opened by itself
  if (const auto* const ended = std::get_if<Ended>(&record)) {
    held = table_.find(ended->token, ended->id);
    token = ended->token;
    reason = ended->reason;
    if (!held && table_.find_lease_of(token)) ended_lease = ended->id.fence;
  } else if (const auto* const cooling = std::get_if<Cooling>(&record)) {
    held = table_.find(cooling->token, cooling->id);
    token = cooling->token;
    reason = cooling->reason;
  } else if (const auto* const opened = std::get_if<LeaseOpened>(&record)) {
    opened_in_replay_.insert(opened->token);
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
  }
  return true;
}

void Arbiter::start(Host& host, Fence first_fence) {
  host_ = &host;
  last_fence_ = std::max(last_fence_, first_fence - 1);
  if (table_.has_deadlines()) start_timers();
  opened_in_replay_.clear();
}

// Every lease has its whole TTL again, and every cooling lock its whole lock-delay. But a lease
// whose end had begun is at its end: who renews it would not hear that some of its locks are gone.
void Arbiter::start_timers() {
  table_.for_each_lock([this](const HeldLock& held) {
    if (held.is_cooling) {
      const Milliseconds delay = table_.lock_delay_of(held);
      cooling_timers_[held.id] = deadlines_.add(std::chrono::milliseconds{delay.count()},
                                                DeadlineQueue::Kind::cooling, held.handle);
      return;
    }
    const LivingLease lease = *table_.lease_of(held);
    if (lease.ttl.count() != 0 && table_.timer_of(lease.handle) == 0) restart_timer(lease.token);
  });
  for (const Token& token : opened_in_replay_) {
    const auto lease = table_.find_lease_of(token);
    if (lease && lease->ttl.count() != 0) restart_timer(token);
  }
  for (const Token& token : expiring_) {
    const LivingLease lease = *table_.find_lease_of(token);
    stop_timer(lease);
    start_timer(lease, now_.instant);
  }
}

void Arbiter::record(const Record& record) {
  std::visit([this](const auto& kind) { table_.apply(kind); }, record);
  host_->on_record(record);
}

bool Arbiter::has_room(std::size_t bytes, bool reserved) const {
  return host_->room_for(bytes, reserved) == Room::enough;
}

void Arbiter::stop_timer(const LivingLease& lease) {
  const std::uint32_t timer = table_.timer_of(lease.handle);
  if (timer == 0) return;
  deadlines_.remove(timer);
  table_.set_timer(lease.handle, 0);
}

void Arbiter::restart_timer(const Token& token) {
  const LivingLease lease = *table_.find_lease_of(token);
  stop_timer(lease);
  if (lease.ttl.count() == 0) return;
  start_timer(lease, now_.instant + std::chrono::milliseconds{lease.ttl.count()});
}

void Arbiter::start_timer(const LivingLease& lease, Instant deadline) {
  table_.set_timer(lease.handle,
                   deadlines_.add(deadline, DeadlineQueue::Kind::lease, lease.handle));
}

void Arbiter::change_ttl(const LivingLease& lease, Milliseconds ttl) {
  stop_timer(lease);
  record(TtlChanged{lease.token, ttl});
}

bool Arbiter::is_only_lock(const LivingLease& lease) const {
  std::size_t count = 0;
  table_.for_each_lock_of(lease, [&count](const HeldLock&) { return ++count < 2; });
  return count == 1;
}

/// One with very many is counted once, and not for every lock that it gets.
std::size_t Arbiter::count_locks_of(const LivingLease& lease) const {
  if (const auto many = many_.find(lease.token); many != many_.end()) return many->second;
  std::size_t count = 0;
  table_.for_each_lock_of(lease, [&count](const HeldLock&) { return ++count > 0; });
  if (count > limits_.ended_at_once_max) many_[lease.token] = count;
  return count;
}

/// The lease has got this lock, or has lost it.
void Arbiter::count_lock(const Token& token, bool is_new) {
  const auto many = many_.find(token);
  if (many == many_.end()) return;
  many->second = is_new ? many->second + 1 : many->second - 1;
  if (many->second == 0) many_.erase(many);
}

void Arbiter::end_lock(const HeldLock& held, PathView path, End reason, const std::string& detail) {
  const MaybeLease lease = table_.lease_of(held);
  const Token token = lease ? lease->token : Token{};
  const Fence fence = held.id.fence;
  const bool is_last = lease && is_only_lock(*lease);
  const bool lease_ends = is_last && lease->opened.fence == 0;
  const LockId opened = lease ? lease->opened : LockId{};
  if (lease_ends) stop_timer(*lease);
  if (lease_ends && reason == End::released) pass_on_terms(*lease);
  if (lease) count_lock(token, false);
  host_->on_event({event_of(reason), path, held.shape, held.owner, fence});

  const Milliseconds delay = table_.lock_delay_of(held);
  const bool cools =
      lease && delay.count() != 0 && (reason == End::expired || reason == End::forced);
  std::unique_ptr<Dependants> watching;
  if (cools) {
    record(Cooling{token, held.id, reason});
    const Instant until = now_.instant + std::chrono::milliseconds{delay.count()};
    cooling_timers_[held.id] = deadlines_.add(until, DeadlineQueue::Kind::cooling, held.handle);
  } else {
    if (const auto timer = cooling_timers_.find(held.id); timer != cooling_timers_.end()) {
      deadlines_.remove(timer->second);
      cooling_timers_.erase(timer);
    }
    watching = take_watchers(held.handle);
    record(Ended{token, held.id, reason});
  }
  if (lease) ended_.remember_lock(token, path, {reason, fence, detail}, now_.instant);
  if (watching) recheck_later(std::move(watching));
  if (lease_ends) {
    on_lease_gone(token, fence, reason, detail);
  } else if (is_last && reason == End::forced) {
    // Whoever lost all it had by force shall hear so when it renews.
    stop_timer(*table_.find_lease_of(token));
    record(Ended{token, opened, reason});
    on_lease_gone(token, fence, reason, detail);
  }
  if (lease) on_path_lost(token, path, held.shape);
}

/// A request to change the mode of a lock that is gone is one like any other now.
void Arbiter::on_path_lost(const Token& token, PathView path, const Shape& shape) {
  const auto waiting = by_token_.find(token);
  if (waiting == by_token_.end()) return;
  for (Waiter* const waiter : waiting->second) {
    if (!waiter->is_upgrade || waiter->wanted.front().path() != path) continue;
    waiter->is_upgrade = false;
    changed_.insert(token);
  }
  note_change(token, path, shape);
}

/// Its holder gives it back, and waits with its token: the lease that it gets then is like it.
void Arbiter::pass_on_terms(const LivingLease& lease) {
  const auto waiting = by_token_.find(lease.token);
  if (waiting == by_token_.end()) return;
  for (Waiter* const waiter : waiting->second) {
    if (waiter->owner.empty()) waiter->owner = lease.owner;
    waiter->default_ttl = lease.ttl;
  }
}

void Arbiter::on_lease_gone(const Token& token, Fence fence, End reason,
                            const std::string& detail) {
  ended_.remember_lease(token, {reason, fence, detail}, now_.instant);
  if (expiring_.contains(token) && !table_.find_lease_of(token)) expiring_.erase(token);
  if (reason == End::released) return;
  // Also who waited before there was this lease: with another one under its token it would never
  // hear what was lost.
  for (auto waiting = by_token_.find(token); waiting != by_token_.end();
       waiting = by_token_.find(token)) {
    Acquired acquired;
    acquired.outcome = Outcome::lease_ended;
    acquired.reason = reason;
    acquired.detail = detail;
    decide(*waiting->second.front(), std::move(acquired));
  }
}

/// Not one that is expiring: with the locks that it still has it does not come back to life.
Arbiter::MaybeLease Arbiter::find_living(const Token& token) const {
  return expiring_.contains(token) ? std::nullopt : table_.find_lease_of(token);
}

/// Of one that is expiring whatever else is remembered: it can be so for as long as the journal has
/// no room for its end.
std::optional<EndedMemory::Ended> Arbiter::ended_lease(const Token& token) const {
  if (expiring_.contains(token)) return EndedMemory::Ended{End::expired, 0, ""};
  return ended_.find_lease(token, now_.instant);
}

/// For one call of end_lease().
Arbiter::Room Arbiter::room_for_end_of(const LivingLease& lease) const {
  std::size_t count = 1;
  table_.for_each_lock_of(lease,
                          [&](const HeldLock&) { return ++count <= limits_.ended_at_once_max; });
  return host_->room_for(count * end_bytes, true);
}

/// Ends its first locks, and with the last of them the lease. False: it has more. So neither its
/// records are too many for a segment, nor does it keep others waiting for long.
bool Arbiter::end_lease(const LivingLease& lease, End reason, const std::string& detail) {
  const Token token = lease.token;
  const LockId opened = lease.opened;
  std::size_t count = 0;
  table_.for_each_lock_of(lease, [&](const HeldLock& held) {
    end_lock(held, table_.path_of(held), reason, detail);
    return ++count < limits_.ended_at_once_max;
  });
  const MaybeLease left = table_.find_lease_of(token);
  if (!left) return true;
  if (left->has_locks) return false;
  stop_timer(*left);
  if (reason == End::released) pass_on_terms(*left);
  record(Ended{token, opened, reason});
  on_lease_gone(token, opened.fence, reason, detail);
  return true;
}

Arbiter::Released Arbiter::release(const Token& token, PathView path, const Now& now) {
  Released released = release_for_seed(token, path, now);
  if (released.outcome != ReleaseOutcome::not_held) return released;
  if (const auto ended = ended_.find_lock(token, path, now_.instant)) {
    released.fence = ended->fence;
    released.reason = ended->reason;
    released.detail = ended->detail;
    released.outcome = ended->reason == End::released ? ReleaseOutcome::released_before
                                                      : ReleaseOutcome::lease_ended;
    return released;
  }
  table_.for_each_blocker({path, {}, ClashRule::holder_only, std::nullopt},
                          [&](const HeldLock& held) {
                            const bool is_here = table_.path_of(held).view() == path;
                            if (is_here) released.outcome = ReleaseOutcome::wrong_token;
                            return false;
                          });
  return released;
}

Arbiter::Released Arbiter::release_for_seed(const Token& token, PathView path, const Now& now) {
  now_ = now;
  Released released;
  const auto held = table_.held_by(token, path);
  if (!held) {
    released.outcome = ReleaseOutcome::not_held;
    return released;
  }
  if (const Room room = host_->room_for(end_bytes, true); room != Room::enough) {
    released.outcome = refusal<ReleaseOutcome>(room);
    return released;
  }
  released.fence = held->id.fence;
  released.count = 1;
  end_lock(*held, path, End::released, "");
  return released;
}

Arbiter::Released Arbiter::release_all(const Token& token, const Now& now) {
  now_ = now;
  Released released;
  const MaybeLease lease = find_living(token);
  if (!lease) {
    const auto ended = ended_lease(token);
    released.outcome = !ended                           ? ReleaseOutcome::not_held
                       : ended->reason == End::released ? ReleaseOutcome::released_before
                                                        : ReleaseOutcome::lease_ended;
    if (ended) {
      released.reason = ended->reason;
      released.detail = ended->detail;
    }
    return released;
  }
  const std::size_t before = table_.lock_count();
  Room room = room_for_end_of(*lease);
  while (room == Room::enough && !end_lease(*lease, End::released, "")) {
    room = room_for_end_of(*lease);
  }
  if (room != Room::enough) {  // what is left is released when it is asked for again
    released.outcome = refusal<ReleaseOutcome>(room);
  }
  released.count = before - table_.lock_count();
  return released;
}

Arbiter::LeaseAnswer Arbiter::open_lease(const std::optional<Token>& chosen, const Token& fresh,
                                         const std::optional<std::string>& owner, Milliseconds ttl,
                                         const Now& now) {
  now_ = now;
  LeaseAnswer answer;
  answer.token = chosen.value_or(fresh);
  answer.owner = owner.value_or("");
  answer.ttl = ttl;
  if (chosen) {
    if (const MaybeLease lease = find_living(*chosen)) {
      const bool is_same =
          lease->ttl == ttl && lease->owner == answer.owner && lease->opened.fence != 0;
      answer.outcome = is_same ? LeaseOutcome::living : LeaseOutcome::in_use;
      if (is_same) restart_timer(*chosen);
      return answer;
    }
    const auto ended = ended_lease(*chosen);
    if (ended && ended->reason != End::released) {
      answer.outcome = LeaseOutcome::ended;
      answer.reason = ended->reason;
      answer.detail = ended->detail;
      return answer;
    }
    const auto waiting = by_token_.find(*chosen);
    const auto is_of_another = [&](const Waiter* waiter) {
      return !waiter->owner.empty() && waiter->owner != answer.owner;
    };
    if (waiting != by_token_.end() &&
        std::any_of(waiting->second.begin(), waiting->second.end(), is_of_another)) {
      answer.outcome = LeaseOutcome::in_use;
      return answer;
    }
  }
  if (table_.lease_count() >= limits_.leases_max || table_.is_nearly_full()) {
    answer.outcome = LeaseOutcome::too_many;
    return answer;
  }
  if (const Room room = host_->room_for(record_bytes_max, false); room != Room::enough) {
    answer.outcome = refusal<LeaseOutcome>(room);
    return answer;
  }
  if (chosen) ended_.forget_lease(*chosen);
  record(LeaseOpened{answer.token, {take_fence(), 0}, answer.owner, ttl});
  restart_timer(answer.token);
  answer.outcome = LeaseOutcome::opened;
  return answer;
}

Arbiter::LeaseAnswer Arbiter::renew(const Token& token, std::optional<Milliseconds> ttl,
                                    const Now& now) {
  now_ = now;
  LeaseAnswer answer;
  const MaybeLease lease = find_living(token);
  if (!lease) {
    const auto ended = ended_lease(token);
    answer.outcome = ended ? LeaseOutcome::ended : LeaseOutcome::unknown;
    if (ended) {
      answer.reason = ended->reason;
      answer.detail = ended->detail;
    }
    return answer;
  }
  if (ttl && *ttl != lease->ttl) {
    // Not of the reserve: one client with ever another TTL would use up what all release with.
    if (const Room room = host_->room_for(record_bytes_max, false); room != Room::enough) {
      answer.outcome = refusal<LeaseOutcome>(room);
      return answer;
    }
    change_ttl(*lease, *ttl);
  }
  restart_timer(token);
  answer.token = token;
  answer.owner = lease->owner;
  answer.ttl = ttl.value_or(lease->ttl);
  answer.locks = count_locks_of(*lease);
  table_.for_each_newest_lock_of(*lease, [&](const HeldLock& newest) {
    answer.newest_fence = newest.id.fence;
    return false;
  });
  if (queue_.is_empty()) return answer;
  WaitQueue::Seen seen;
  std::set<Ticket> waiting;  // one can wait for several
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

Arbiter::Forced Arbiter::force(const ForceFilter& filter, const std::string& detail,
                               const Now& now) {
  now_ = now;
  const std::string under = filter.packed_path.value_or(filter.packed_prefix.value_or(""));
  std::vector<std::uint32_t> chosen;
  table_.open_cursor(cursor_of_force, PathView{under});
  while (const auto held = table_.advance_cursor(cursor_of_force)) {
    if (held->is_cooling && !filter.ends_cooling) continue;
    if (filter.fence && held->id.fence != *filter.fence) continue;
    if (filter.owner && held->owner != *filter.owner) continue;
    if (filter.packed_path && table_.path_of(*held).view().packed() != under) continue;
    chosen.push_back(held->handle);
  }
  Forced forced;
  for (const std::uint32_t handle : chosen) {
    if (const Room room = host_->room_for(end_bytes, true); room != Room::enough) {
      forced.outcome = refusal<Outcome>(room);
      return forced;
    }
    const HeldLock held = table_.lock_at(handle);
    end_lock(held, table_.path_of(held), End::forced, detail);
    ++forced.count;
  }
  return forced;
}

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
  newcomer.ticket = ~Ticket{0};  // behind all who wait
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

LockInfo Arbiter::describe(const Waiter& waiter, const Waiter::Wanted& wanted) {
  LockInfo info;
  info.packed_path = wanted.packed_path;
  info.shape = wanted.shape;
  info.owner = waiter.owner;
  info.state = LockInfo::State::waiting;
  info.waiting_since = waiter.since;
  info.meta = waiter.meta;
  return info;
}

std::vector<LockInfo> Arbiter::covering(PathView path, std::size_t limit) const {
  std::vector<LockInfo> infos;
  table_.for_each_blocker({path, {}, ClashRule::symmetric, std::nullopt},
                          [&](const HeldLock& held) {
                            infos.push_back(describe(held));
                            return infos.size() < limit;
                          });
  return infos;
}

std::vector<LockInfo> Arbiter::waiting_at(PathView path, std::size_t limit) const {
  std::vector<LockInfo> infos;
  queue_.visit_at(path, [&](const Waiter& waiter) {
    for (const Waiter::Wanted& wanted : waiter.wanted) {
      if (wanted.path() == path) infos.push_back(describe(waiter, wanted));
    }
    return infos.size() < limit;
  });
  return infos;
}

}  // namespace locker::core
