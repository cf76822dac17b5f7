#include <utility>
#include <vector>

#include "core/arbiter.hpp"

namespace locker::core {
namespace {

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

/// The outcome of releasing something that the token does not hold.
ReleaseOutcome outcome_of(const std::optional<EndedMemory::Ended>& ended) {
  if (!ended) return ReleaseOutcome::not_held;
  return ended->reason == End::released ? ReleaseOutcome::released_before
                                        : ReleaseOutcome::lease_ended;
}

}  // namespace

/// The host is called first: its arguments can be views of what the table frees with this record.
void Arbiter::record(const Record& record, const Event* told,
                     const std::optional<HeldLock>& ended) {
  host_->on_record(record);
  if (told != nullptr) host_->on_event(*told);
  table_.apply(record, ended);
}

bool Arbiter::has_room(std::size_t bytes, bool reserved) const {
  return host_->room_for(bytes, reserved) == Room::enough;
}

/// Ends the lock, or begins its cooling. The lease that held it may end with it.
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

  const Milliseconds delay = table_.lock_delay_of(held);
  const bool cools =
      lease && delay.count() != 0 && (reason == End::expired || reason == End::forced);
  // For a cooling lock, `expired` or `forced` was emitted when the cooling began.
  const Event told{event_of(lease ? reason : End::cooled), path, held.shape, held.owner, fence,
                   cools ? delay : Milliseconds::zero()};
  std::unique_ptr<Dependants> watching;
  if (cools) {
    record(Cooling{token, held.id, reason}, &told, held);
    const Instant until = now_.instant + std::chrono::milliseconds{delay.count()};
    cooling_timers_[held.id] = deadlines_.add(until, DeadlineQueue::Kind::cooling, held.handle);
  } else {
    if (const auto timer = cooling_timers_.find(held.id); timer != cooling_timers_.end()) {
      deadlines_.remove(timer->second);
      cooling_timers_.erase(timer);
    }
    watching = take_watchers(held.handle);
    record(Ended{token, held.id, reason}, &told, held);
  }
  if (lease) ended_.remember_lock(token, path, {reason, fence, detail}, now_.instant);
  rechecks_.take_over(std::move(watching));
  if (lease_ends) {
    on_lease_gone(token, reason, detail);
  } else if (is_last && reason == End::forced) {
    // A client that lost all its locks by force has to learn so when it renews.
    stop_timer(*table_.find_lease_of(token));
    record(Ended{token, opened, reason});
    on_lease_gone(token, reason, detail);
  }
  if (lease) on_path_lost(token, path, held.shape);
}

/// A request to change the mode of a lock that is gone becomes an ordinary one.
void Arbiter::on_path_lost(const Token& token, PathView path, const Shape& shape) {
  const auto waiting = waiters_.of(token);
  for (Waiter* const waiter : waiting) {
    if (!waiter->changes_mode || waiter->wanted.front().path() != path) continue;
    waiter->changes_mode = false;
    to_search_.insert(token);
  }
  if (!waiting.empty()) note_change(token, path, shape);
}

/// The lease is released while requests with its token wait: the lease that they open later gets
/// the same TTL. They already have its owner's name.
void Arbiter::pass_on_terms(const LivingLease& lease) {
  for (Waiter* const waiter : waiters_.of(lease.token)) waiter->default_ttl = lease.ttl;
}

void Arbiter::on_lease_gone(const Token& token, End reason, const std::string& detail) {
  const EndedMemory::Ended ended{reason, 0, detail};
  ended_.remember_lease(token, ended, now_.instant);
  if ((expiring_.contains(token) || opened_.contains(token)) && !table_.find_lease_of(token)) {
    expiring_.erase(token);
    opened_.erase(token);
  }
  if (reason == End::released) return;
  // Also requests that are older than this lease: if they opened another one under its token, the
  // client would never learn what it lost.
  while (!waiters_.of(token).empty()) decide(*waiters_.of(token).front(), refused(ended));
}

/// The number of ends in one call of end_lease(), including the lease's own.
std::size_t Arbiter::count_ends_of(const LivingLease& lease) const {
  std::size_t count = 1;
  table_.for_each_lock_of(lease,
                          [&](const HeldLock&) { return ++count <= limits_.ended_at_once_max; });
  return count;
}

/// Ends the lease's first locks, and the lease with its last lock. Returns false if it has more, so
/// that the records fit into a segment, and others do not wait for long.
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
  on_lease_gone(token, reason, detail);
  return true;
}

/// Ends the request, and its place. If its token has no lease and no other request, this is
/// remembered for a while: the answer can get lost, or the client come back for a kept place.
void Arbiter::end_wait(Waiter& waiter, End reason, const std::string& detail) {
  const Token token = waiter.token;
  const bool is_known = waiter.token_is_chosen;
  const EndedMemory::Ended ended{reason, 0, detail};
  decide(waiter, refused(ended));
  if (is_known && waiters_.of(token).empty() && !table_.find_lease_of(token)) {
    ended_.remember_lease(token, ended, now_.instant);
  }
}

Released Arbiter::release(const Token& token, PathView path, const Now& now) {
  Released released = release_legacy(token, path, now);
  if (released.outcome != ReleaseOutcome::not_held) return released;
  const auto ended = ended_.find_lock(token, path, now_.instant);
  if (Waiter* const waiting = waiters_.who_wants(token, path.packed())) {
    const std::vector<Wanted> left = waiting->wanted;
    end_wait(*waiting, End::released, "");
    released.outcome = ReleaseOutcome::left;
    // This can be a repeated release of what it held here before: the same answer.
    if (ended && ended->reason == End::released) released.fence = ended->fence;
    for (const Wanted& each : left) {
      const auto before = ended_.find_lock(token, each.path(), now_.instant);
      if (before && before->reason == End::released) continue;
      ended_.remember_lock(token, each.path(), {End::released, 0, ""}, now_.instant);
    }
    return released;
  }
  if (ended) {
    released.outcome = outcome_of(ended);
    released.fence = ended->fence;
    released.ended = ended;
    return released;
  }
  if (!table_.find_lease_of(token) && waiters_.of(token).empty()) {
    // A request that was ended by force is remembered by its token, but not by its paths.
    const auto gone = ended_lease(token);
    if (gone && gone->reason == End::forced) {
      released.outcome = ReleaseOutcome::lease_ended;
      released.ended = gone;
      return released;
    }
  }
  table_.for_each_lock_at(path, [&](const HeldLock& held) {
    if (!held.is_cooling) released.outcome = ReleaseOutcome::wrong_token;
    return held.is_cooling;  // such a lock has no holder
  });
  return released;
}

Released Arbiter::release_legacy(const Token& token, PathView path, const Now& now) {
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

Released Arbiter::release_all(const Token& token, const Now& now) {
  now_ = now;
  Released released;
  const MaybeLease lease = find_living(token);
  if (!lease && !waiters_.of(token).empty()) {
    while (!waiters_.of(token).empty()) end_wait(*waiters_.of(token).front(), End::released, "");
    released.outcome = ReleaseOutcome::left;
    return released;
  }
  if (!lease) {
    released.ended = ended_lease(token);
    released.outcome = outcome_of(released.ended);
    return released;
  }
  const std::size_t before = table_.lock_count();
  const auto look_for_room = [&] {
    return host_->room_for(count_ends_of(*lease) * end_bytes, true);
  };
  Room room = look_for_room();
  while (room == Room::enough && !end_lease(*lease, End::released, "")) room = look_for_room();
  if (room != Room::enough) {  // the rest is released when the client asks again
    released.outcome = refusal<ReleaseOutcome>(room);
  }
  released.count = before - table_.lock_count();
  return released;
}

}  // namespace locker::core
