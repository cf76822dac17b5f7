#include <algorithm>
#include <limits>
#include <utility>
#include <vector>

#include "core/arbiter.hpp"

namespace locker::core {
namespace {

void take_steps(std::size_t count, std::size_t& steps) { steps -= std::min(steps, count); }

LockId just_before(const LockId& id) {
  if (id.position > 0) return {id.fence, static_cast<std::uint16_t>(id.position - 1)};
  return {id.fence - 1, std::numeric_limits<std::uint16_t>::max()};
}

/// Whether the filter matches a path that a request wants.
bool fits(const ForceFilter& filter, PathView path) {
  if (filter.packed_path && path.packed() != *filter.packed_path) return false;
  if (!filter.packed_prefix) return true;
  const PathView prefix{*filter.packed_prefix};
  return path == prefix || prefix.is_ancestor_of(path);
}

/// Whether to end a lock that is at the filter's path or under its prefix.
bool is_meant(const Forcing& forcing, const HeldLock& held) {
  const ForceFilter& filter = forcing.filter;
  return held.id.fence <= forcing.newest && (!held.is_cooling || filter.ends_cooling) &&
         (!filter.fence || held.id.fence == *filter.fence) &&
         (!filter.owner || held.owner == *filter.owner);
}

std::unique_ptr<LockCursor> open_cursor(const LockTable& table, const ForceFilter& filter) {
  using Reach = LockCursor::Reach;
  if (filter.packed_path) {
    return std::make_unique<LockCursor>(table, PathView{*filter.packed_path}, Reach::at);
  }
  const std::string_view prefix = filter.packed_prefix ? *filter.packed_prefix : std::string_view{};
  return std::make_unique<LockCursor>(table, PathView{prefix});
}

bool fits(const ForceFilter& filter, const Waiter& waiter) {
  return (!filter.owner || waiter.owner == *filter.owner) &&
         std::any_of(waiter.wanted.begin(), waiter.wanted.end(),
                     [&](const auto& wanted) { return fits(filter, wanted.path()); });
}

}  // namespace

Forced Arbiter::force(const ForceFilter& filter, const std::string& detail, const Now& now) {
  Forcing forcing = begin_force(filter, detail);
  while (!advance_force(forcing, steps_of_an_end * limits_.ended_at_once_max, now)) {
  }
  return forcing.forced;
}

Forcing Arbiter::begin_force(const ForceFilter& filter, const std::string& detail) {
  Forcing forcing{filter, detail};
  forcing.number = ++last_number_;
  forcing.newest = last_fence_;
  return forcing;
}

bool Arbiter::advance_force(Forcing& forcing, std::size_t steps, const Now& now) {
  using Stage = Forcing::Stage;
  now_ = now;
  if (forcing.forced.outcome == Outcome::busy) forcing.forced.outcome = Outcome::granted;
  while (forcing.stage != Stage::over && steps > 0) {
    switch (forcing.stage) {
      case Stage::waiters:
        if (!force_waiters(forcing, steps)) break;
        // Waiters that it would have ended may have been granted their locks meanwhile.
        if (forcing.filter.ends_waiting) forcing.newest = last_fence_;
        forcing.stage = Stage::locks;
        break;
      case Stage::locks:
        if (force_locks(forcing, steps)) forcing.stage = Stage::leases;
        break;
      case Stage::leases:
        if (force_leases(forcing, steps)) forcing.stage = Stage::over;
        break;
      case Stage::over:
        break;
    }
    if (forcing.forced.outcome != Outcome::granted) return true;
  }
  return forcing.stage == Stage::over;
}

bool Arbiter::has_room_to_force(Forcing& forcing) const {
  const Room room = host_->room_for(end_bytes, true);
  if (room != Room::enough) forcing.forced.outcome = refusal<Outcome>(room);
  return room == Room::enough;
}

/// Returns true if there is nothing more to look at, as do the functions below.
bool Arbiter::force_waiters(Forcing& forcing, std::size_t& steps) {
  if (!forcing.filter.ends_waiting || forcing.filter.fence) return true;
  while (steps > 0) {
    const auto at = waiters_.by_ticket().lower_bound(forcing.next_ticket);
    if (at == waiters_.by_ticket().end() || at->first > forcing.number) return true;
    Waiter& waiter = *at->second;
    forcing.next_ticket = waiter.ticket + 1;
    take_steps(waiter.wanted.size(), steps);
    if (!fits(forcing.filter, waiter)) continue;
    take_steps(4 * steps_of_an_end, steps);  // the requests behind it are re-examined
    end_wait(waiter, End::forced, forcing.detail);
    ++forcing.forced.count;
  }
  return false;
}

bool Arbiter::force_locks(Forcing& forcing, std::size_t& steps) {
  std::vector<ChosenLock> chosen;
  const bool is_end = choose_locks(forcing, steps, chosen);
  for (const auto& [id, handle] : chosen) {
    if (!has_room_to_force(forcing)) {
      forcing.last_lock = just_before(id);
      forcing.cursor.reset();  // it has moved past locks that have not ended
      return false;
    }
    const HeldLock held = table_.lock_at(handle);
    end_lock(held, table_.path_of(held), End::forced, forcing.detail);
    ++forcing.forced.count;
  }
  return is_end;
}

/// Collects the locks to end, from where the last slice stopped.
bool Arbiter::choose_locks(Forcing& forcing, std::size_t& steps, std::vector<ChosenLock>& chosen) {
  if (!forcing.cursor) forcing.cursor = open_cursor(table_, forcing.filter);
  LockCursor& cursor = *forcing.cursor;
  const bool is_there = cursor.skip(forcing.last_lock, steps);
  bool is_end = false;
  while (is_there && steps > 0) {
    const auto held = cursor.next();
    is_end = !held || held->id.fence > forcing.newest;
    if (is_end) break;
    take_steps(1, steps);
    forcing.last_lock = held->id;
    if (!is_meant(forcing, *held)) continue;
    chosen.push_back({held->id, held->handle});
    take_steps(steps_of_an_end, steps);
  }
  cursor.keep();
  return is_end;
}

/// Ends the leases that hold nothing; the others end with the last of their locks.
bool Arbiter::force_leases(Forcing& forcing, std::size_t& steps) {
  if (!forcing.filter.means_leases()) return true;
  while (steps > 0) {
    const auto at = forcing.last_lease ? opened_.upper_bound(*forcing.last_lease) : opened_.begin();
    if (at == opened_.end()) return true;
    take_steps(1, steps);
    const LivingLease lease = *table_.find_lease_of(*at);
    const bool ends = !lease.has_locks && lease.owner == *forcing.filter.owner &&
                      lease.opened.fence <= forcing.newest;
    if (ends && !has_room_to_force(forcing)) return false;
    forcing.last_lease = *at;
    if (!ends) continue;
    take_steps(steps_of_an_end, steps);
    end_lease(lease, End::forced, forcing.detail);
    ++forcing.forced.count;
  }
  return false;
}

}  // namespace locker::core
