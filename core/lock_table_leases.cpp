#include <optional>
#include <string_view>
#include <utility>

#include "core/assert.hpp"
#include "core/lock_table.hpp"
#include "core/lock_table_layout.hpp"

namespace locker::core {
namespace {

constexpr std::uint32_t null = UnitArena::null;

constexpr std::uint64_t steps_without_index = 64;  // of a search

/// Not seeded, because clients do not choose ids.
std::uint32_t hash_id(LockId id) {
  constexpr std::uint64_t odd = 0x9E3779B97F4A7C15;  // 2^64 / golden ratio
  return fold((id.fence << 16U | id.position) * odd);
}

}  // namespace

std::uint32_t LockTable::hash_token(const Token& token) const {
  return hash_.then(token.view()).folded();
}

LockTable::FoundLease& LockTable::find_token(const Token& token) const {
  if (found_lease_.token != token) {
    const std::uint32_t hash = hash_token(token);
    const auto at = leases_.find(hash, [&](std::uint32_t of) { return lease(of).token == token; });
    found_lease_ = {token, hash, at};
  }
  return found_lease_;
}

void LockTable::prefetch_lease(const Token& token) const {
  if (found_lease_.token != token) leases_.prefetch(hash_token(token));
}

std::uint32_t LockTable::find_lease(const Token& token) const { return find_token(token).at; }

std::uint32_t LockTable::add_lease(const Token& token, std::string_view owner, Milliseconds ttl,
                                   Fence opened_fence) {
  const std::uint32_t at = arena_.allocate(lease_units);
  Lease& added = lease(at) = Lease{};
  added.token = token;
  FoundLease& found = find_token(token);
  leases_.insert(found.hash, at);
  found.at = at;
  const bool has_terms = ttl.count() != 0 || opened_fence != 0;
  if (has_terms || !owner.empty()) put_details(added, owner, has_terms);
  if (has_terms) set_terms(*terms_of(added), ttl, opened_fence);
  return at;
}

/// Stores the owner, with the terms if there are any, in a new block.
void LockTable::put_details(Lease& of, std::string_view owner, bool has_terms) {
  const std::size_t head = has_terms ? sizeof(LeaseTerms) : 1;
  of.details = arena_.allocate(UnitArena::units_for(head + owner.size())) & UnitArena::number_mask;
  of.has_terms = has_terms ? 1 : 0;
  char* const block = arena_.at<char>(of.details);
  if (has_terms) {
    *terms_of(of) = {.owner_size = static_cast<std::uint8_t>(owner.size())};
  } else {
    *block = static_cast<char>(owner.size());
  }
  owner.copy(block + head, owner.size());
}

void LockTable::free_details(const Lease& of) {
  if (of.details == null) return;
  const std::size_t head = of.has_terms != 0 ? sizeof(LeaseTerms) : 1;
  arena_.free(of.details, UnitArena::units_for(head + owner_of(of).size()));
}

/// Returns the lease's terms; creates them if it has none.
LockTable::LeaseTerms& LockTable::terms_for(Lease& of) {
  if (of.has_terms == 0) {
    const Lease before = of;
    put_details(of, owner_of(before), true);
    free_details(before);
  }
  return *terms_of(of);
}

void LockTable::set_terms(LeaseTerms& terms, Milliseconds ttl, Fence opened_fence) {
  deadline_count_ -= terms.has_deadline() ? 1U : 0U;
  terms.ttl = ttl.count();
  terms.opened_fence = opened_fence & ((Fence{1} << 56U) - 1);
  deadline_count_ += terms.has_deadline() ? 1U : 0U;
}

void LockTable::remove_lease(std::uint32_t at) {
  const Lease& removed = lease(at);
  FoundLease& found = find_token(removed.token);
  leases_.erase(found.hash, at);
  found.at = null;
  if (LeaseTerms* const terms = terms_of(removed)) set_terms(*terms, {}, 0);
  free_details(removed);
  arena_.free(at, lease_units);
}

void LockTable::link_to_lease(std::uint32_t at, std::uint32_t owning) {
  Lock& linked = lock(at);
  Lease& of = lease(owning);
  linked.lease = owning;
  // Backwards the list is a ring, so that the first lock leads to the last; forwards it ends.
  if (of.first_lock == null) of.first_lock = linked.lease_previous = at;
  std::uint32_t& last = lock(of.first_lock).lease_previous;
  if (last != at) lock(last).lease_next = at;
  linked.lease_previous = std::exchange(last, at);
  if (holdings_.lease == owning && holdings_.next == null) holdings_.next = at;
  if (index_) index_->insert(hash_id(linked.id()), at);
}

void LockTable::unlink_from_lease(std::uint32_t at, End reason) {
  Lock& unlinked = lock(at);
  if (holdings_.lease == unlinked.lease) holdings_ = {};
  if (index_) index_->erase(hash_id(unlinked.id()), at);
  Lease& of = lease(unlinked.lease);
  // In the ring the first lock follows the last.
  const std::uint32_t behind = unlinked.lease_next == null ? of.first_lock : unlinked.lease_next;
  lock(behind).lease_previous = unlinked.lease_previous;
  (of.first_lock == at ? of.first_lock : lock(unlinked.lease_previous).lease_next) =
      unlinked.lease_next;
  const LeaseTerms* const terms = terms_of(of);
  const bool was_opened = terms != nullptr && terms->opened_fence != 0;
  // After a change the next record grants the lease the lock that replaces this one.
  if (of.first_lock == null && !was_opened && reason != End::changed) remove_lease(unlinked.lease);
  unlinked.lease = unlinked.lease_previous = unlinked.lease_next = null;
}

// From both ends: locks are mostly released in the order of their grants, or in reverse.
std::uint32_t LockTable::find_lock(const Token& token, LockId id) {
  const std::uint32_t owning = find_lease(token);
  if (owning == null) return null;
  if (index_) {
    return index_->find(hash_id(id), [&](std::uint32_t at) {
      return lock(at).id() == id && lock(at).lease == owning;
    });
  }
  const std::uint64_t steps_before = search_steps_;
  std::uint32_t found = null;
  std::uint32_t older = lease(owning).first_lock;
  std::uint32_t newer = older == null ? null : lock(older).lease_previous;
  while (older != null && found == null) {
    ++search_steps_;
    if (lock(older).id() == id) found = older;
    if (lock(newer).id() == id) found = newer;
    older = lock(older).lease_next;
    newer = lock(newer).lease_previous;
  }
  const std::uint64_t steps = search_steps_ - steps_before;
  if (steps > steps_without_index) long_search_steps_ += steps;
  if (long_search_steps_ > lock_count_) make_index();
  return found;
}

void LockTable::make_index() {
  long_search_steps_ = 0;
  index_.emplace();
  for_each_lock([this](const HeldLock& held) {
    if (!held.is_cooling) index_->insert(hash_id(held.id), held.handle);
  });
}

// A lease can have many locks, and a path many (shared) ones: walks both lists until one ends.
std::uint32_t LockTable::find_lock(std::uint32_t owning, PathView path) const {
  const Found& found = find_nodes(path);
  if (!found.is_whole()) return null;
  const std::uint32_t at_node = found.nodes[found.level];
  std::uint32_t of_lease = lease(owning).first_lock;
  const List(&lists)[2] = node(at_node).here;
  std::uint32_t here[2] = {lists[0].first, lists[1].first};
  while (of_lease != null && (here[0] != null || here[1] != null)) {
    if (lock(of_lease).node == at_node) return of_lease;
    of_lease = lock(of_lease).lease_next;
    for (std::size_t list = 0; list < 2; ++list) {
      std::uint32_t& at = here[list];
      if (at == null) continue;
      if (lock(at).lease == owning) return at;
      at = next_of(lists[list], at, found.level);
    }
  }
  return null;
}

std::optional<HeldLock> LockTable::held_by(const Token& token, PathView path) const {
  const std::uint32_t owning = find_lease(token);
  return owning == null ? std::nullopt : lock_unless_null(find_lock(owning, path));
}

std::optional<HeldLock> LockTable::held_by(const LivingLease& of, PathView path) const {
  return lock_unless_null(find_lock(of.handle, path));
}

std::optional<LivingLease> LockTable::find_lease_of(const Token& token) const {
  const std::uint32_t at = find_lease(token);
  if (at == null) return std::nullopt;
  return lease_at(at);
}

LivingLease LockTable::lease_at(std::uint32_t handle) const {
  const Lease& of = lease(handle);
  LivingLease living{of.token, owner_of(of), {}, {}, of.first_lock != null, handle};
  if (const LeaseTerms* const terms = terms_of(of)) {
    living.ttl = Milliseconds{terms->ttl};
    living.opened = {terms->opened_fence, 0};
  }
  return living;
}

std::optional<LivingLease> LockTable::lease_of(const HeldLock& held) const {
  const std::uint32_t at = lock(held.handle).lease;
  if (at == null) return std::nullopt;
  return lease_at(at);
}

// From both ends, like find_lock().
std::uint32_t LockTable::first_lock_behind(std::uint32_t owning, LockId after) const {
  std::uint32_t older = lease(owning).first_lock;
  std::uint32_t newer = null;
  while (older != null && lock(older).id() <= after) {
    ++search_steps_;
    const std::uint32_t behind = newer == null ? lease(owning).first_lock : newer;
    const std::uint32_t before = lock(behind).lease_previous;
    if (lock(before).id() <= after) return newer;
    newer = before;
    older = lock(older).lease_next;
  }
  return older;
}

void LockTable::for_each_lock_of(const LivingLease& of,
                                 const std::function<bool(const HeldLock&)>& visit,
                                 LockId after) const {
  visit_from(first_lock_behind(of.handle, after), visit);
}

void LockTable::for_each_lock_behind(const HeldLock& held,
                                     const std::function<bool(const HeldLock&)>& visit) const {
  visit_from(lock(held.handle).lease_next, visit);
}

void LockTable::visit_from(std::uint32_t at,
                           const std::function<bool(const HeldLock&)>& visit) const {
  while (at != null) {
    const std::uint32_t next = lock(at).lease_next;
    if (!visit(lock_at(at))) return;
    at = next;
  }
}

void LockTable::for_each_newest_lock_of(const LivingLease& of,
                                        const std::function<bool(const HeldLock&)>& visit) const {
  const std::uint32_t first = lease(of.handle).first_lock;
  if (first == null) return;
  std::uint32_t at = first;
  do {
    at = lock(at).lease_previous;  // before the first one is the last one
  } while (visit(lock_at(at)) && at != first);
}

std::uint32_t LockTable::timer_of(std::uint32_t at) const {
  const LeaseTerms* const terms = terms_of(lease(at));
  return terms == nullptr ? 0 : terms->timer;
}

void LockTable::set_timer(std::uint32_t at, std::uint32_t timer) {
  LeaseTerms* const terms = terms_of(lease(at));
  LOCKER_ASSERT(terms != nullptr);
  terms->timer = timer;
}

}  // namespace locker::core
