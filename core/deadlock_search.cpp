#include "core/deadlock_search.hpp"

#include <algorithm>

#include "core/clash.hpp"

namespace locker::core {

bool Arbiter::DeadlockSearch::somebody_may_wait_for(const Waiter& request) const {
  if (!arbiter_.waiters_.of(own_).empty()) return true;
  const auto lease = arbiter_.table_.find_lease_of(own_);
  if (!lease) return false;
  bool found = false;
  std::size_t looked_at = 0;
  arbiter_.table_.for_each_lock_of(*lease, [&](const HeldLock& held) {
    found = ++looked_at > locks_looked_at_max;
    if (found) return false;
    const Path path = arbiter_.table_.path_of(held);
    found = arbiter_.queue_.latest_clash(
                {path, held.shape, ClashRule::symmetric, request.ticket},
                [&](const Waiter& other) { return other.token == own_; }) != nullptr;
    return !found;
  });
  return found;
}

/// Nearly always returns false, and then nothing else is searched.
bool Arbiter::DeadlockSearch::can_wait_for_itself(const Waiter& request) {
  own_ = request.token;
  return !request.has_choice() && !arbiter_.queue_.is_empty() && somebody_may_wait_for(request);
}

std::vector<CycleStep> Arbiter::DeadlockSearch::find(const Waiter& request) {
  if (!can_wait_for_itself(request)) return {};
  expand(request);
  next_.push_back(own_);
  return follow(request);
}

std::vector<CycleStep> Arbiter::DeadlockSearch::find_by_itself(const Waiter& request) {
  if (!can_wait_for_itself(request)) return {};
  expand(request);
  return follow(request);
}

std::vector<CycleStep> Arbiter::DeadlockSearch::follow(const Waiter& request) {
  while (goes_on() && !next_.empty()) {
    const Token token = next_.front();
    next_.pop_front();
    for (const Waiter* const waiter : arbiter_.waiters_.of(token)) {
      if (!waiter->is_kept && waiter->ticket != request.ticket) expand(*waiter);
    }
  }
  return is_found_ ? trace() : std::vector<CycleStep>{};
}

void Arbiter::DeadlockSearch::expand(const Waiter& waiter) {
  if (waiter.has_choice()) return;
  for (const Wanted& wanted : waiter.wanted) {
    if (goes_on()) expand_wanted(waiter, wanted);
  }
}

/// Reaches the holders in the way: looks at the locks that are held there or, if these are more
/// than the leases that can lead further, at what each of those leases holds.
void Arbiter::DeadlockSearch::expand_holders(const Waiter& waiter, const Wanted& wanted) {
  // The holders in the way of an equal request are reached already. Requests of the lease that the
  // search begins with do not count here: what it holds itself is in the way of the others only.
  const Shape& shape = wanted.shape;
  const Place place{wanted.packed_path, shape.mode, shape.lock_parents, shape.lock_children};
  if (waiter.token != own_ && !looked_at_.insert(place).second) return;
  const std::size_t leases_max = arbiter_.waiters_.by_token().size() + 1;
  std::size_t looked_at = 0;
  arbiter_.table_.for_each_blocker(
      {wanted.path(), wanted.shape, ClashRule::symmetric, waiter.token}, [&](const HeldLock& held) {
        if (++looked_at > leases_max) return false;
        if (held.is_cooling) return true;
        const Token& token = arbiter_.table_.token_of(held);
        if (token == own_ || !arbiter_.waiters_.of(token).empty()) {
          reach(token, {&waiter, &wanted, nullptr, held.handle});
        }
        return goes_on();
      });
  if (looked_at <= leases_max) return;
  for (const Token& token : leases_that_wait_and_hold()) {
    if (!goes_on()) return;
    if (token == waiter.token || !holds_in_the_way(token, wanted)) continue;
    reach(token, {&waiter, &wanted, nullptr, std::nullopt});
  }
}

const std::vector<Token>& Arbiter::DeadlockSearch::leases_that_wait_and_hold() {
  if (!holding_.empty()) return holding_;
  for (const auto& [token, waiters] : arbiter_.waiters_.by_token()) {
    const auto lease = arbiter_.table_.find_lease_of(token);
    if (lease && lease->has_locks) holding_.push_back(token);
  }
  if (arbiter_.waiters_.of(own_).empty()) holding_.push_back(own_);
  return holding_;
}

/// Cached, because a waiter for many paths is met at each of them.
bool Arbiter::DeadlockSearch::is_passed(const Waiter& other, const Waiter& by) {
  if (passing_ != by.token) is_passed_.clear();
  passing_ = by.token;
  const auto [known, is_new] = is_passed_.try_emplace(&other);
  if (is_new) {
    known->second = arbiter_.is_passed(other, by.token, arbiter_.table_.find_lease_of(by.token));
  }
  return known->second;
}

bool Arbiter::DeadlockSearch::is_in_the_way(const Waiter& other, const Waiter& waiter,
                                            const Wanted& wanted) {
  if (other.ticket >= waiter.ticket) return false;
  steps_ += other.wanted.size();
  return std::any_of(other.wanted.begin(), other.wanted.end(), [&](const auto& its) {
    return clash(its.path(), its.shape, wanted.path(), wanted.shape);
  });
}

void Arbiter::DeadlockSearch::expand_wanted(const Waiter& waiter, const Wanted& wanted) {
  steps_ += steps_of_a_path;
  expand_holders(waiter, wanted);
  if (waiter.changes_mode) return;
  const std::size_t passed_before = passed_.size();
  const auto meet = [&](const Waiter& other) {
    if (is_passed(other, waiter)) return false;
    reach(other.token, {&waiter, &wanted, &other, std::nullopt});
    return true;
  };
  arbiter_.queue_.visit_clashes({wanted.path(), wanted.shape, ClashRule::symmetric, waiter.ticket},
                                seen_, [&](const Waiter& other) {
                                  if (!meet(other)) passed_.push_back(&other);
                                  return goes_on();
                                });
  for (std::size_t i = 0; i < passed_before && goes_on(); ++i) {
    const Waiter& other = *passed_[i];
    if (is_in_the_way(other, waiter, wanted)) meet(other);
  }
}

bool Arbiter::DeadlockSearch::holds_in_the_way(const Token& token, const Wanted& wanted) const {
  const auto lease = arbiter_.table_.find_lease_of(token);
  return lease && arbiter_.table_.holds_clash(*lease, wanted.path(), wanted.shape);
}

void Arbiter::DeadlockSearch::reach(const Token& to, const Reached& reached) {
  if (is_found_ || !reached_.try_emplace(to, reached).second) return;
  if (to == own_) {
    is_found_ = true;
  } else {
    next_.push_back(to);
  }
}

CycleStep Arbiter::DeadlockSearch::step_to(const Token& to, const Reached& reached) const {
  const LockTable& table = arbiter_.table_;
  const Wanted& wanted = *reached.wanted;
  const auto lease = table.find_lease_of(reached.from->token);
  CycleStep step;
  step.owner = lease ? lease->owner : std::string_view{reached.from->owner};
  step.waits_for = wanted.packed_path;
  const auto is_in_the_way = [&wanted](PathView path, const Shape& shape) {
    return clash(path, shape, wanted.path(), wanted.shape);
  };
  if (reached.before != nullptr) {
    const auto& its = reached.before->wanted;
    const auto at = std::find_if(its.begin(), its.end(), [&](const Wanted& each) {
      return is_in_the_way(each.path(), each.shape);
    });
    if (at != its.end()) step.blocked_by = at->packed_path;
    return step;
  }
  const auto tell = [&](const HeldLock& held) {
    step.blocked_by = table.path_of(held).view().packed();
    step.fence = held.id.fence;
  };
  if (reached.lock) {
    tell(table.lock_at(*reached.lock));
  } else if (const auto holder = table.find_lease_of(to)) {
    table.for_each_lock_of(*holder, [&](const HeldLock& held) {
      if (!is_in_the_way(table.path_of(held), held.shape)) return true;
      tell(held);
      return false;
    });
  }
  return step;
}

std::vector<CycleStep> Arbiter::DeadlockSearch::trace() const {
  std::vector<CycleStep> cycle;
  Token at = own_;
  do {
    const Reached& reached = reached_.at(at);
    cycle.push_back(step_to(at, reached));
    at = reached.from->token;
  } while (at != own_);
  std::reverse(cycle.begin(), cycle.end());
  return cycle;
}

}  // namespace locker::core
