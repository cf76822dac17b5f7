#include <algorithm>
#include <string_view>
#include <utility>

#include "core/arbiter.hpp"
#include "core/clash.hpp"
#include "core/deadlock_search.hpp"

namespace locker::core {
namespace {

constexpr std::size_t blockers_listed_max = 16;

/// The most bytes that the records of its grant take.
std::size_t bytes_for(const Waiter& request) {
  constexpr std::size_t changed_ttl = 64;
  // An upgrade also ends the lock that was held.
  const std::size_t each =
      2 * record_head_bytes + grant_fields_bytes + owner_bytes_max + request.meta.size();
  std::size_t paths = 0;
  std::size_t longest = 0;
  for (const Wanted& wanted : request.wanted) {
    paths += wanted.packed_path.size();
    longest = std::max(longest, wanted.packed_path.size());
  }
  return changed_ttl + request.needed() * each + std::min(paths, request.needed() * longest);
}

/// The approximate memory of a waiter: the queue keeps each prefix of each path, so long and deep
/// paths cost the square of their length. What is requested is stored here and by the requester.
std::size_t waiting_bytes(const Waiter& request) {
  constexpr std::size_t each = 512;
  constexpr std::size_t each_wanted = 288;
  constexpr std::size_t each_prefix = 192;
  std::size_t bytes = each + 2 * request.meta.size();
  for (const Wanted& wanted : request.wanted) {
    bytes += each_wanted + 3 * wanted.packed_path.size();
    std::size_t prefix = 0;
    for (const std::string_view segment : wanted.path()) {
      bytes += each_prefix + prefix;
      prefix += 1 + segment.size();
    }
  }
  return bytes;
}

/// The approximate memory of a lock that is the first of its lease and shares no node. With a
/// lock-delay both the lock and the lease store the owner.
std::size_t memory_for(PathView path, std::string_view owner, std::string_view meta) {
  constexpr std::size_t each = 256;
  constexpr std::size_t each_segment = 104;
  return each + each_segment * path.depth() + path.packed().size() + 2 * owner.size() + meta.size();
}

/// The latest request sets the TTL. But one that is granted late, because it had to wait, does not
/// shorten the TTL that renewals have promised meanwhile.
Milliseconds ttl_of_grant(const std::optional<LivingLease>& lease, const Waiter& request) {
  if (!lease) return request.ttl.value_or(request.default_ttl);
  const Milliseconds asked = request.ttl.value_or(lease->ttl);
  return request.lease_was_renewed && is_longer_ttl(lease->ttl, asked) ? lease->ttl : asked;
}

}  // namespace

Arbiter::Arbiter(std::uint64_t hash_seed, const Limits& limits, std::pmr::memory_resource* memory)
    : table_(hash_seed, memory),
      queue_(hash_seed),
      rechecks_(limits.woken_at_once_max),
      ended_(hash_seed),
      limits_(limits) {}

Fence Arbiter::take_fence() {
  last_fence_ = std::max(last_fence_ + 1, now_.wall);
  return last_fence_;
}

/// Whether a request of this lease need not queue behind the other request: that is the lease's
/// own, or cannot be granted anyway until the lease releases something.
bool Arbiter::is_passed(const Waiter& other, const Token& token, const MaybeLease& lease) const {
  if (other.token == token) return true;
  if (!lease || !lease->has_locks) return false;
  std::size_t open = other.wanted.size();  // wanted locks that the lease may not be in the way of
  std::size_t not_held = 0;
  for (const Wanted& wanted : other.wanted) {
    if (table_.holds_clash(*lease, wanted.path(), wanted.shape)) {
      if (--open < other.needed()) return true;
    } else if (++not_held == other.needed()) {
      return false;
    }
  }
  return open < other.needed();
}

Waiter* Arbiter::waiter_in_the_way(const Waiter& request, const Wanted& wanted,
                                   const MaybeLease& lease, Passed& passed) const {
  if (queue_.is_empty() || request.changes_mode) return nullptr;
  return queue_.latest_clash({wanted.path(), wanted.shape, ClashRule::symmetric, request.ticket},
                             [&](const Waiter& other) {
                               if (other.token == request.token) return true;
                               if (!lease) return false;
                               const auto [known, is_new] = passed.try_emplace(&other);
                               if (is_new) known->second = is_passed(other, request.token, lease);
                               return known->second;
                             });
}

std::optional<HeldLock> Arbiter::holder_in_the_way(const Waiter& request,
                                                   const Wanted& wanted) const {
  return table_.blocker({wanted.path(), wanted.shape, ClashRule::symmetric, request.token});
}

/// Returns which of the wanted locks could be granted now, in the order of the request.
std::vector<std::size_t> Arbiter::free_ones(const Waiter& request) const {
  std::vector<std::size_t> free;
  const MaybeLease lease = queue_.is_empty() ? std::nullopt : table_.find_lease_of(request.token);
  Passed passed;
  for (std::size_t index = 0; index < request.wanted.size(); ++index) {
    const Wanted& wanted = request.wanted[index];
    const bool is_free = !holder_in_the_way(request, wanted) &&
                         waiter_in_the_way(request, wanted, lease, passed) == nullptr;
    if (is_free) free.push_back(index);
    if (free.size() == request.needed()) break;
    if (!is_free && request.any == 0) break;
  }
  return free;
}

std::vector<LockInfo> Arbiter::list_blockers(const Waiter& request) const {
  std::vector<LockInfo> blockers;
  const MaybeLease lease = table_.find_lease_of(request.token);
  Passed passed;
  for (const Wanted& wanted : request.wanted) {
    if (blockers.size() == blockers_listed_max) break;
    table_.for_each_blocker({wanted.path(), wanted.shape, ClashRule::symmetric, request.token},
                            [&](const HeldLock& held) {
                              blockers.push_back(describe(held));
                              // Only the first meta is shown (to Terraform), and it can be long.
                              if (blockers.size() > 1) blockers.back().meta = {};
                              return blockers.size() < blockers_listed_max;
                            });
    if (blockers.size() == blockers_listed_max) break;
    const Waiter* const other = waiter_in_the_way(request, wanted, lease, passed);
    if (other == nullptr) continue;
    for (const Wanted& others : other->wanted) {
      if (!clash(others.path(), others.shape, wanted.path(), wanted.shape)) continue;
      blockers.push_back(describe(*other, others));
      if (blockers.size() > 1) blockers.back().meta = {};
      break;
    }
  }
  return blockers;
}

std::unique_ptr<Waiter> Arbiter::make_request(const AcquireCommand& command) const {
  auto request = std::make_unique<Waiter>();
  request->ticket = ~Ticket{0};  // behind all waiters
  request->token = command.token.value_or(command.fresh_token);
  request->token_is_chosen = command.token.has_value();
  request->owner = command.owner.value_or("");
  request->wanted = command.wanted;
  request->any = command.any;
  request->ttl = command.ttl;
  request->default_ttl = command.default_ttl;
  request->lock_delay = command.lock_delay;
  request->meta = command.meta;
  return request;
}

Acquired Arbiter::acquire(const AcquireCommand& command, const Now& now) {
  now_ = now;
  auto request = make_request(command);
  if (command.token) {
    if (auto answer = answer_known_token(command, *request)) return std::move(*answer);
  }
  const std::vector<std::size_t> free = free_ones(*request);
  if (free.size() == request->needed()) return try_grant(*request, free);
  if (command.wait.count() == 0) {
    Acquired acquired = refused(Outcome::blocked);
    acquired.blocked_by = list_blockers(*request);
    return acquired;
  }
  return enqueue(std::move(request), command.wait);
}

bool Arbiter::has_place_for(std::size_t locks) const {
  return table_.lock_count() + locks <= limits_.locks_max && !table_.is_nearly_full();
}

/// The memory that the request takes as a waiter is freed when it is granted.
bool Arbiter::has_memory_for(const Waiter& request) const {
  std::size_t bytes = 0;
  for (const Wanted& wanted : request.wanted) {
    bytes += memory_for(wanted.path(), request.owner, request.meta);
  }
  bytes = bytes / request.wanted.size() * request.needed();
  return bytes <= request.bytes || has_memory_for(bytes - request.bytes);
}

std::optional<Outcome> Arbiter::refusal_by_limits(const Waiter& request) const {
  const std::size_t count = request.changes_mode ? 0 : request.needed();
  if (!has_place_for(count)) return Outcome::too_many_locks;
  if (!request.changes_mode && !has_memory_for(request)) return Outcome::too_much_memory;
  const auto lease = request.token_is_chosen ? table_.find_lease_of(request.token) : std::nullopt;
  if (!lease) {
    if (table_.lease_count() >= limits_.leases_max) return Outcome::too_many_leases;
    return std::nullopt;
  }
  if (count_locks_of(*lease) + count > limits_.locks_of_lease_max) {
    return Outcome::too_many_locks_of_lease;
  }
  return std::nullopt;
}

std::optional<Outcome> Arbiter::refusal_by_room(const Waiter& request) const {
  const Room room = host_->room_for(bytes_for(request), false);
  if (room == Room::enough) return std::nullopt;
  return refusal<Outcome>(room);
}

Acquired Arbiter::try_grant(const Waiter& request, const std::vector<std::size_t>& chosen) {
  if (const auto outcome = refusal_by_limits(request)) return refused(*outcome);
  if (const auto outcome = refusal_by_room(request)) return refused(*outcome);
  return grant(request, chosen);
}

Acquired Arbiter::grant(const Waiter& request, const std::vector<std::size_t>& chosen) {
  MaybeLease lease = table_.find_lease_of(request.token);
  Acquired acquired;
  acquired.token = request.token;
  acquired.owner = lease ? std::string{lease->owner} : request.owner;
  acquired.lease_is_fresh = !lease;
  acquired.ttl = ttl_of_grant(lease, request);
  if (lease && acquired.ttl != lease->ttl) change_ttl(*lease, acquired.ttl);
  if (!lease && request.token_is_chosen) ended_.forget_lease(request.token);
  acquired.fence = take_fence();
  for (std::size_t position = 0; position < chosen.size(); ++position) {
    const Wanted& wanted = request.wanted[chosen[position]];
    const auto held = lease ? table_.held_by(*lease, wanted.path()) : std::nullopt;
    if (held) change_lock(*lease, *held);
    count_lock(request.token, true);
    const Event told{EventKind::granted, wanted.path(), wanted.shape, acquired.owner,
                     acquired.fence};
    record(Granted{request.token,
                   {acquired.fence, static_cast<std::uint16_t>(position)},
                   wanted.shape,
                   acquired.owner,
                   wanted.path(),
                   acquired.ttl,
                   request.lock_delay,
                   request.meta,
                   false},
           &told);
    acquired.locks.push_back(wanted);
  }
  if (acquired.ttl.count() != 0) {
    restart_timer(request.token);
  } else {
    note_renewal(request.token);
  }
  // Waiters before the lease's other requests may be waiting for the lease now: they are passed.
  name_waiters(request.token, acquired.owner);
  bool others_wait = false;
  for (Waiter* const waiter : waiters_.of(request.token)) {
    if (waiter->ticket == request.ticket || waiter->is_kept) continue;
    others_wait = true;
    rechecks_.add(*waiter);
  }
  for (const Wanted& got : acquired.locks) {
    if (others_wait) note_change(request.token, got.path(), got.shape);
  }
  return acquired;
}

/// Ends the lock, to make way for one of another mode at the same path; its waiters are
/// re-examined.
void Arbiter::change_lock(const LivingLease& lease, const HeldLock& held) {
  std::unique_ptr<Dependants> watching = take_watchers(held.handle);
  if (!waiters_.of(lease.token).empty()) {
    note_change(lease.token, table_.path_of(held), held.shape);
  }
  count_lock(lease.token, false);
  record(Ended{lease.token, held.id, End::changed}, nullptr, held);
  rechecks_.take_over(std::move(watching));
}

LegacyAcquired Arbiter::acquire_legacy(PathView path, const Shape& shape, std::string_view owner,
                                       const Token& fresh_token, Milliseconds ttl, const Now& now) {
  now_ = now;
  if (const auto held = table_.blocker({path, shape, ClashRule::holder_only, std::nullopt})) {
    return {Outcome::blocked, held->owner, held};
  }
  if (!queue_.is_empty()) {
    const Waiter* const waiter = queue_.latest_clash({path, shape, ClashRule::holder_only},
                                                     [](const Waiter&) { return false; });
    if (waiter != nullptr) return {Outcome::blocked, waiter->owner, {}};
  }
  if (!has_place_for(1)) return {Outcome::too_many_locks, {}, {}};
  if (!has_memory_for(memory_for(path, owner, {}))) return {Outcome::too_much_memory, {}, {}};
  if (table_.lease_count() >= limits_.leases_max) return {Outcome::too_many_leases, {}, {}};
  const Room room = host_->room_for(record_bytes_max, false);
  if (room != Room::enough) return {refusal<Outcome>(room), {}, {}};
  const Fence fence = take_fence();
  const Event told{EventKind::granted, path, shape, owner, fence};
  record(Granted{fresh_token, {fence, 0}, shape, owner, path, ttl, {}, {}, false}, &told);
  if (ttl.count() != 0) restart_timer(fresh_token);
  return {Outcome::granted, {}, {}};
}

Acquired Arbiter::enqueue(std::unique_ptr<Waiter> request, Duration wait) {
  request->bytes = waiting_bytes(*request);
  if (waiters_.size() >= limits_.waiters_max ||
      waiters_.bytes() + request->bytes > limits_.waiting_bytes_max) {
    return refused(Outcome::too_many_waiters);
  }
  if (!has_memory_for(request->bytes)) return refused(Outcome::too_much_memory);
  if (waiters_.of(request->token).size() >= limits_.waiters_of_lease_max) {
    return refused(Outcome::too_many_waiters_of_lease);
  }
  request->ticket = ++last_number_;
  request->since = now_.instant;
  Acquired acquired = refused(Outcome::queued);
  acquired.cycle = DeadlockSearch{*this}.find_by_itself(*request);
  if (!acquired.cycle.empty()) {
    acquired.outcome = Outcome::deadlock;
    return acquired;
  }
  acquired.waiter = request->id = ++last_number_;
  Waiter& waiter = waiters_.add(std::move(request));
  name_waiters(waiter.token, waiter.owner);
  queue_.insert(waiter);
  activate(waiter, now_.instant + wait);
  return acquired;
}

/// The client of this waiter asks again. A connection that still waits from before is answered with
/// Outcome::superseded.
Acquired Arbiter::resume(Waiter& waiter, Duration wait) {
  if (!waiter.is_kept) {
    host_->on_decided(waiter.id, refused(Outcome::superseded));
    stop_waiting(waiter);
  }
  const std::vector<std::size_t> free = free_ones(waiter);
  if (free.size() == waiter.needed()) {
    Acquired acquired = try_grant(waiter, free);
    acquired.waited = now_.instant - waiter.since;
    if (acquired.outcome == Outcome::granted) remove(waiter);
    return acquired;
  }
  if (wait.count() == 0) {
    Acquired acquired = refused(Outcome::blocked);
    acquired.blocked_by = list_blockers(waiter);
    return acquired;
  }
  Acquired acquired = refused(Outcome::queued);
  // At its old place there can be others behind it again, which count in the search.
  queue_.insert(waiter);
  acquired.cycle = DeadlockSearch{*this}.find(waiter);
  if (!acquired.cycle.empty()) {
    // Others that came meanwhile hold what it wants and would queue behind it, so it goes to the
    // end of the queue instead.
    queue_.erase(waiter);
    waiters_.change_ticket(waiter, ++last_number_);
    acquired.cycle = DeadlockSearch{*this}.find_by_itself(waiter);
    if (!acquired.cycle.empty()) {
      acquired.outcome = Outcome::deadlock;
      remove(waiter);
      return acquired;
    }
    queue_.insert(waiter);
  }
  waiters_.change_id(waiter, ++last_number_);
  acquired.waiter = waiter.id;
  if (waiter.has_choice()) to_search_.insert(waiter.token);  // find() did not start from it
  activate(waiter, now_.instant + wait);
  return acquired;
}

}  // namespace locker::core
