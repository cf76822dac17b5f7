#include <algorithm>
#include <utility>

#include "core/arbiter.hpp"
#include "core/deadlock_search.hpp"

namespace locker::core {
namespace {

// advance() counts its units of work in things, each of some microseconds.
constexpr std::chrono::milliseconds retry_after{10};       // while the journal makes room
constexpr std::size_t retries_at_once_max = 2000;          // of ends by a timer
constexpr std::chrono::milliseconds grant_retry_after{5};  // the same for grants to waiters
constexpr std::size_t paths_of_a_thing = 8;
constexpr std::size_t ends_of_a_thing = 4;
// The time scheduled per path of a waiter whose client has left: at most twice what it needs.
constexpr std::chrono::microseconds to_leave_a_path{4};
constexpr std::size_t steps_of_a_thing = 250;  // of a deadlock search, or of search_steps()

/// A request for hundreds of paths counts as much as many small ones.
std::size_t things_of(const Waiter& waiter) { return 1 + waiter.wanted.size() / paths_of_a_thing; }

}  // namespace

/// REQUIRES: it is in queue_.
void Arbiter::activate(Waiter& waiter, Instant deadline) {
  waiter.is_kept = false;
  waiter.dependants = std::make_unique<Dependants>();
  set_timer(waiter, deadline);
  tell(EventKind::waiting, waiter);
  examine(waiter);
}

void Arbiter::deactivate(Waiter& waiter) {
  rechecks_.forget(waiter);
  queue_.erase(waiter);
  rechecks_.take_over(std::move(waiter.dependants));
  rechecks_.add_all(waiter.followers);
  tell(EventKind::left, waiter);
}

void Arbiter::set_timer(Waiter& waiter, Instant deadline) {
  if (waiter.timer != 0) deadlines_.remove(waiter.timer);
  waiter.timer = deadlines_.add(deadline, DeadlineQueue::Kind::waiter, waiter.ticket);
}

/// Emits an event for each wanted path, except those with these indices, in ascending order.
void Arbiter::tell(EventKind kind, const Waiter& waiter, const std::vector<std::size_t>& except) {
  for (std::size_t index = 0; index < waiter.wanted.size(); ++index) {
    if (std::binary_search(except.begin(), except.end(), index)) continue;
    const Wanted& wanted = waiter.wanted[index];
    host_->on_event({kind, wanted.path(), wanted.shape, waiter.owner, 0});
  }
}

/// REQUIRES: it is out of the queue.
void Arbiter::remove(Waiter& waiter) {
  if (waiter.timer != 0) deadlines_.remove(waiter.timer);
  waiters_.remove(waiter);
}

/// Grants the request if that is possible; else registers it with what is in its way.
void Arbiter::examine(Waiter& waiter) {
  const MaybeLease lease = table_.find_lease_of(waiter.token);
  const bool is_alone = waiters_.of(waiter.token).size() == 1 && (!lease || !lease->has_locks);
  if (waiter.wanted.size() == 1 && is_alone) {
    // Whatever is in the way of an equal request before it is in its way, too: its own lease has
    // nothing that would make a difference.
    const Wanted& wanted = waiter.wanted.front();
    Waiter* const equal = queue_.latest_equal(wanted.path(), wanted.shape, waiter.ticket);
    if (equal != nullptr) return Rechecks::register_in(waiter, equal->followers);
  }
  std::vector<std::size_t> free;
  Passed passed;
  for (std::size_t index = 0; index < waiter.wanted.size(); ++index) {
    const Wanted& wanted = waiter.wanted[index];
    if (Waiter* const before = waiter_in_the_way(waiter, wanted, lease, passed)) {
      Rechecks::register_in(waiter, *before->dependants);
    } else if (const auto held = holder_in_the_way(waiter, wanted)) {
      Rechecks::register_in(waiter, watchers_of(held->handle));
    } else {
      free.push_back(index);
      if (free.size() == waiter.needed()) return grant_queued(waiter, free);
      continue;
    }
    if (waiter.any == 0) return;
  }
}

void Arbiter::grant_queued(Waiter& waiter, const std::vector<std::size_t>& chosen) {
  if (waiter.is_leaving) return stop_waiting(waiter);
  rechecks_.forget(waiter);
  Acquired acquired = try_grant(waiter, chosen);
  acquired.waited = now_.instant - waiter.since;
  if (acquired.outcome == Outcome::busy && delay(waiter)) return;
  queue_.erase(waiter);
  if (acquired.outcome == Outcome::granted && chosen.size() == 1 && waiter.wanted.size() == 1 &&
      !waiter.dependants->empty()) {
    // The requests behind the waiter are behind its lock from here on, however many they are.
    const auto held = table_.held_by(waiter.token, waiter.wanted.front().path());
    table_.watch(held->handle);
    watchers_[held->handle] = std::move(waiter.dependants);
  } else {
    rechecks_.take_over(std::move(waiter.dependants));
  }
  rechecks_.add_all(waiter.followers);
  // It does not wait any more for those of several paths that it did not get.
  const bool is_granted = acquired.outcome == Outcome::granted;
  tell(EventKind::left, waiter, is_granted ? chosen : std::vector<std::size_t>{});
  host_->on_decided(waiter.id, std::move(acquired));
  remove(waiter);
}

/// Delays the grant until the journal has made room. Returns false if the journal has room, but not
/// enough for this grant, and the wait is over.
bool Arbiter::delay(Waiter& waiter) {
  if (!has_room(record_bytes_max, false)) {
    rechecks_.add(waiter);
    rechecks_.hold_until(now_.instant + grant_retry_after);
    if (waiter.timer == 0) set_timer(waiter, rechecks_.held_until());  // its wait is over already
    return true;
  }
  // That can last for as long as the journal's segments are small, so others do not wait for it.
  if (waiter.timer == 0) return false;
  rechecks_.delay(waiter, now_.instant);
  return true;
}

Dependants& Arbiter::watchers_of(std::uint32_t lock) {
  auto& list = watchers_[lock];
  if (list == nullptr) {
    list = std::make_unique<Dependants>();
    table_.watch(lock);
  }
  return *list;
}

/// Takes the watchers of a lock that ends; null if it never had any.
std::unique_ptr<Dependants> Arbiter::take_watchers(std::uint32_t lock) {
  if (!table_.is_watched(lock)) return nullptr;
  return std::move(watchers_.extract(lock).mapped());
}

/// Takes the waiter out of the queue; its place is kept if its client can come back for it.
void Arbiter::stop_waiting(Waiter& waiter) {
  deactivate(waiter);
  waiter.is_leaving = false;
  if (!waiter.token_is_chosen) return remove(waiter);
  waiter.is_kept = true;
  set_timer(waiter, now_.instant + place_kept);
}

void Arbiter::decide(Waiter& waiter, Acquired&& acquired) {
  acquired.waited = now_.instant - waiter.since;
  if (!waiter.is_kept) {
    host_->on_decided(waiter.id, std::move(acquired));
    deactivate(waiter);
  }
  remove(waiter);
}

/// A lease that waits has got or lost this lock. Requests that wait for the lock may wait for the
/// lease now; or the lease does not pass them any more, and may be behind them.
void Arbiter::note_change(const Token& token, PathView path, const Shape& shape) {
  const auto is_own = [&](const Waiter& other) { return other.token == token; };
  if (queue_.latest_clash({path, shape}, is_own) != nullptr) to_search_.insert(token);
}

/// Refuses the youngest of the lease's requests that are in a deadlock, until none is. Returns the
/// steps that the searches took.
std::size_t Arbiter::refuse_deadlocks_of(const Token& token) {
  std::vector<Waiter*> youngest_first;
  for (Waiter* const waiter : waiters_.of(token)) {
    if (!waiter->is_kept && !waiter->has_choice()) youngest_first.push_back(waiter);
  }
  std::sort(youngest_first.begin(), youngest_first.end(),
            [](const Waiter* a, const Waiter* b) { return a->ticket > b->ticket; });
  std::size_t steps = 0;
  const auto search = [&](const Waiter& waiter, bool by_itself) {
    DeadlockSearch one{*this};
    std::vector<CycleStep> cycle = by_itself ? one.find_by_itself(waiter) : one.find(waiter);
    steps += one.steps();
    return cycle;
  };
  for (Waiter* const waiter : youngest_first) {
    if (search(*waiter, false).empty()) break;  // then no other of the lease is in one
    Acquired acquired = refused(Outcome::deadlock);
    acquired.cycle = search(*waiter, true);
    if (!acquired.cycle.empty()) decide(*waiter, std::move(acquired));
    if (steps > SearchBudget::steps_of_one_max) break;
  }
  return steps;
}

bool Arbiter::abandon(WaiterId id, const Now& now) {
  now_ = now;
  Waiter* const waiter = waiters_.find(id);
  if (waiter == nullptr || waiter->is_kept || waiter->is_leaving) return false;
  if (waiter->wanted.size() <= paths_of_a_thing) {
    stop_waiting(*waiter);
    return true;
  }
  // Leaving 256 queues, and re-examining the requests behind, takes up to 0.4 ms. When a machine
  // with thousands of clients dies, this is spread out. Otherwise everybody else would wait for it:
  // 1.2 s for 5,500 of them, during which leases with a short TTL would end though renewed in time.
  leaves_at_ = std::max(leaves_at_, now_.instant) + waiter->wanted.size() * to_leave_a_path;
  waiter->is_leaving = true;
  if (leaves_at_ < deadlines_.deadline_of(waiter->timer)) set_timer(*waiter, leaves_at_);
  return true;
}

bool Arbiter::advance(const Now& now, std::size_t limit) {
  now_ = now;
  const auto has_room_for = [this](const Waiter& waiter) {
    return refusal_by_room(waiter) != Outcome::busy;
  };
  while (limit > 0) {
    std::size_t things = 1;
    // A request of a lease that is in the way of thousands looks at each of them to pass it.
    const auto steps = [this] { return table_.search_steps() + queue_.search_steps(); };
    const auto things_searched = [&steps, before = steps()] {
      return (steps() - before) / steps_of_a_thing;
    };
    if (const auto due = deadlines_.take_due(now_.instant)) {
      things = on_due(*due);
      things += things_searched();
    } else if (Waiter* const next = rechecks_.take_next(now_.instant, has_room_for)) {
      things = things_of(*next);
      examine(*next);
      things += things_searched();
    } else if (!to_search_.empty() && now_.instant >= rechecks_.held_until()) {
      const Token token = to_search_.extract(to_search_.begin()).value();
      things += refuse_deadlocks_of(token) / steps_of_a_thing;
    } else if (const auto timer = deadlines_.next(); !timer || *timer > now_.instant) {
      return false;
    }  // else take_due() has only moved some timers
    limit -= std::min(limit, things);
  }
  const auto next = next_due();
  return next && *next <= now_.instant;
}

/// Returns when to retry an end that the journal has no room for. If very many wait for room, their
/// retries are spread out: vain attempts must not use up the time of all others.
Instant Arbiter::next_retry() {
  if (retry_at_ <= now_.instant) {
    retry_at_ = now_.instant + retry_after;
    retries_ = 0;
  } else if (retries_ == retries_at_once_max) {
    retry_at_ += retry_after;
    retries_ = 0;
  }
  ++retries_;
  return retry_at_;
}

std::optional<Instant> Arbiter::next_due() const {
  auto due = deadlines_.next();
  const auto add = [&due](Instant at) { due = std::min(due.value_or(at), at); };
  if (const auto recheck = rechecks_.next_due()) add(*recheck);
  if (!to_search_.empty()) add(rechecks_.held_until());
  return due;
}

/// Returns how many things of advance() this counts as.
std::size_t Arbiter::on_due(const DeadlineQueue::Due& due) {
  switch (due.kind) {
    case DeadlineQueue::Kind::lease: {
      const LivingLease lease = table_.lease_at(static_cast<std::uint32_t>(due.subject));
      table_.set_timer(lease.handle, 0);
      const std::size_t ends = count_ends_of(lease);
      const bool has_begun = has_room(ends * end_bytes, true);
      std::size_t things = 1 + ends / ends_of_a_thing;  // also if they were only counted
      if (has_begun) {
        for (const Waiter* const waiter : waiters_.of(lease.token)) things += things_of(*waiter);
      }
      if (has_begun && end_lease(lease, End::expired, "")) return things;
      if (has_begun && expiring_.insert(lease.token).second) {
        record(TtlChanged{lease.token, expiring_ttl});
        on_lease_gone(lease.token, End::expired, "");
      }
      // The lease lasts until its end can be recorded. With very many locks that takes several
      // turns.
      const Instant next = has_begun ? now_.instant : next_retry();
      table_.set_timer(lease.handle, deadlines_.add(next, due.kind, due.subject));
      return things;
    }
    case DeadlineQueue::Kind::cooling: {
      const HeldLock held = table_.lock_at(static_cast<std::uint32_t>(due.subject));
      if (!has_room(end_bytes, true)) {
        cooling_timers_[held.id] = deadlines_.add(next_retry(), due.kind, due.subject);
        return 1;
      }
      cooling_timers_.erase(held.id);
      end_lock(held, table_.path_of(held), End::cooled, "");
      return 1;
    }
    case DeadlineQueue::Kind::waiter: {
      Waiter& waiter = *waiters_.by_ticket().at(due.subject);
      const std::size_t things = things_of(waiter);
      waiter.timer = 0;
      on_end_of_wait(waiter);
      return things;
    }
  }
  return 1;
}

/// The end of a request's wait, or of its kept place.
void Arbiter::on_end_of_wait(Waiter& waiter) {
  if (waiter.is_kept) return remove(waiter);
  if (waiter.is_leaving) return stop_waiting(waiter);
  // Its turn may have come at the same time as the end of its wait.
  const std::vector<std::size_t> free = free_ones(waiter);
  if (free.size() == waiter.needed()) return grant_queued(waiter, free);
  Acquired acquired = refused(Outcome::blocked);
  acquired.blocked_by = list_blockers(waiter);
  acquired.waited = now_.instant - waiter.since;
  host_->on_decided(waiter.id, std::move(acquired));
  stop_waiting(waiter);
}

void Arbiter::for_each_waiter(Ticket from, const std::function<bool(const Waiter&)>& visit) const {
  const auto& waiters = waiters_.by_ticket();
  for (auto at = waiters.lower_bound(from); at != waiters.end(); ++at) {
    if (!visit(*at->second)) return;
  }
}

}  // namespace locker::core
