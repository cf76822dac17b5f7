#include <algorithm>
#include <string_view>
#include <utility>

#include "core/arbiter.hpp"

namespace locker::core {
namespace {

Acquired refused(TokenUse&& use) {
  Acquired acquired = refused(Outcome::token_in_use);
  acquired.in_use = std::move(use);
  return acquired;
}

/// The lease has, or will have, another owner.
TokenUse use_by_owner(std::string_view owner) {
  TokenUse use;
  use.differs = TokenUse::Parameter::owner;
  use.text = owner;
  return use;
}

/// How the request differs from what is there. Parameters that it leaves out do not differ; the
/// mode is compared last, because it may differ alone.
TokenUse difference(const AcquireCommand& command, const Wanted& wanted, const Shape& shape,
                    std::string_view meta, Milliseconds lock_delay) {
  using Parameter = TokenUse::Parameter;
  TokenUse use;
  use.packed_path = wanted.packed_path;
  use.text = meta;
  use.duration = lock_delay;
  use.shape = shape;
  if (wanted.shape.lock_parents != shape.lock_parents) {
    use.differs = Parameter::lock_parents;
  } else if (wanted.shape.lock_children != shape.lock_children) {
    use.differs = Parameter::lock_children;
  } else if (!command.meta.empty() && command.meta != meta) {
    use.differs = Parameter::meta;
  } else if (command.lock_delay.count() != 0 && command.lock_delay != lock_delay) {
    use.differs = Parameter::lock_delay;
  } else if (wanted.shape.mode != shape.mode) {
    use.differs = Parameter::mode;
  }
  return use;
}

/// Null if it is the same request. REQUIRES: the two have a path in common, or different owners.
std::optional<TokenUse> use_by_waiting(const AcquireCommand& command, const Waiter& waiter) {
  if (command.owner && waiter.owner != *command.owner) return use_by_owner(waiter.owner);
  const auto is_same_path = [](const Wanted& a, const Wanted& b) {
    return a.packed_path == b.packed_path;
  };
  const auto shared = std::find_first_of(command.wanted.begin(), command.wanted.end(),
                                         waiter.wanted.begin(), waiter.wanted.end(), is_same_path);
  TokenUse use;
  use.packed_path = shared->packed_path;
  if (!std::equal(command.wanted.begin(), command.wanted.end(), waiter.wanted.begin(),
                  waiter.wanted.end(), is_same_path)) {
    return use;
  }
  for (std::size_t index = 0; index < command.wanted.size(); ++index) {
    TokenUse its = difference(command, command.wanted[index], waiter.wanted[index].shape,
                              waiter.meta, waiter.lock_delay);
    if (its.differs != TokenUse::Parameter::none) return its;
  }
  if (waiter.any != command.any) {
    use.differs = TokenUse::Parameter::any;
    use.any = waiter.any;
    return use;
  }
  if (waiter.ttl == command.ttl) return std::nullopt;
  use.differs = TokenUse::Parameter::ttl;
  use.duration = waiter.ttl.value_or(Milliseconds{});
  return use;
}

/// How an existing lease differs from the one that a client wants to open with its token.
TokenUse use_by_lease(const LivingLease& lease, std::string_view owner, Milliseconds ttl) {
  if (lease.owner != owner) return use_by_owner(lease.owner);
  TokenUse use;
  if (lease.ttl != ttl) {
    use.differs = TokenUse::Parameter::ttl;
    use.duration = lease.ttl;
  }
  return use;
}

}  // namespace

/// Answers a request whose token is known already. Null if the request is a new one, which then has
/// the owner of its lease.
std::optional<Acquired> Arbiter::answer_known_token(const AcquireCommand& command,
                                                    Waiter& request) {
  const Token& token = *command.token;
  const MaybeLease lease = find_living(token);
  if (!lease) {
    const auto ended = ended_lease(token);
    if (ended && ended->reason != End::released) return refused(*ended);
  } else {
    restart_timer(token);  // who has the token lives, whatever becomes of the request
    if (command.owner && *command.owner != lease->owner) {
      return refused(use_by_owner(lease->owner));
    }
    request.owner = lease->owner;
    if (auto answer = answer_held(command, *lease, request)) return answer;
  }
  const auto waiting = waiters_.of(token);
  if (waiting.empty()) return std::nullopt;
  for (Waiter* const waiter : waiting) {
    if (waiter->is_leaving) stop_waiting(*waiter);
  }
  Waiter* const first = waiters_.who_wants(token, command.wanted.front().packed_path);
  if (first != nullptr && !use_by_waiting(command, *first)) {
    // A request that its client gave up can be read after the one that the client sent next.
    if (command.client_has_left && !first->is_kept) return refused(Outcome::superseded);
    return resume(*first, command.wait);
  }
  Dependants given_up;
  for (const Wanted& wanted : command.wanted) {
    Waiter* const waiter = waiters_.who_wants(token, wanted.packed_path);
    if (waiter != nullptr) given_up.emplace(waiter->ticket, waiter);
  }
  for (Waiter* const waiter : waiting) {
    // The lease that all of them wait for will have one owner.
    if (command.owner && !waiter->owner.empty() && *command.owner != waiter->owner) {
      given_up.emplace(waiter->ticket, waiter);
    } else if (request.owner.empty()) {
      request.owner = waiter->owner;
    }
  }
  for (const auto& [ticket, waiter] : given_up) {
    if (!waiter->is_kept) return refused(*use_by_waiting(command, *waiter));
  }
  // Places are kept for clients that come back for them; this one wants something else.
  for (const auto& [ticket, waiter] : given_up) remove(*waiter);
  return std::nullopt;
}

/// Null if the lease holds none of the wanted locks, or if only the mode of its lock is to change,
/// which sets request.changes_mode.
std::optional<Acquired> Arbiter::answer_held(const AcquireCommand& command,
                                             const LivingLease& lease, Waiter& request) {
  HeldOfWanted held;
  for (const Wanted& wanted : command.wanted) {
    if (const auto lock = table_.held_by(lease, wanted.path())) held.emplace_back(&wanted, *lock);
  }
  if (held.empty()) return std::nullopt;
  const HeldLock& last = held.back().second;
  auto use = use_by_held(command, lease, held, held.size() == request.needed());
  if (!use) {
    Acquired again;
    for (const auto& [wanted, lock] : held) again.locks.push_back(*wanted);
    again.outcome = Outcome::held_already;
    again.token = lease.token;
    again.owner = lease.owner;
    again.fence = last.id.fence;
    again.ttl = lease.ttl;
    return again;
  }
  if (command.wanted.size() > 1 || use->differs != TokenUse::Parameter::mode) {
    return refused(std::move(*use));
  }
  request.changes_mode = true;
  request.meta = table_.meta_of(last);
  request.lock_delay = table_.lock_delay_of(last);
  return std::nullopt;
}

/// Names one difference: if only some of the wanted locks are held, the path of one; else how a
/// held lock differs; else the TTL, if only that differs. Null if it is the same request.
std::optional<TokenUse> Arbiter::use_by_held(const AcquireCommand& command,
                                             const LivingLease& lease, const HeldOfWanted& held,
                                             bool has_all) const {
  TokenUse same;
  Fence fence = 0;
  for (const auto& [wanted, lock] : held) {
    TokenUse use =
        difference(command, *wanted, lock.shape, table_.meta_of(lock), table_.lock_delay_of(lock));
    use.is_held = true;
    if (!has_all) use.differs = TokenUse::Parameter::none;
    const bool is_of_another_grant = fence != 0 && lock.id.fence != fence;
    if (!has_all || is_of_another_grant || use.differs != TokenUse::Parameter::none) return use;
    same = std::move(use);
    fence = lock.id.fence;
  }
  // A shorter one can be that of the same request, whose grant did not shorten the lease's.
  if (!command.ttl || !is_longer_ttl(*command.ttl, lease.ttl)) return std::nullopt;
  same.differs = TokenUse::Parameter::ttl;
  same.duration = lease.ttl;
  return same;
}

/// Like answer_known_token(), for a lease that is to be opened.
std::optional<LeaseAnswer> Arbiter::answer_known_lease(const Token& token, std::string_view owner,
                                                       Milliseconds ttl) {
  LeaseAnswer answer;
  answer.token = token;
  answer.owner = owner;
  answer.ttl = ttl;
  if (const MaybeLease lease = find_living(token)) {
    if (lease->ttl == ttl && lease->owner == owner && lease->opened.fence != 0) {
      restart_timer(token);
      answer.outcome = LeaseOutcome::living;
    } else {
      answer.outcome = LeaseOutcome::in_use;
      answer.in_use = use_by_lease(*lease, owner, ttl);
    }
    return answer;
  }
  const auto ended = ended_lease(token);
  if (ended && ended->reason != End::released) {
    answer.outcome = LeaseOutcome::ended;
    answer.ended = ended;
    return answer;
  }
  for (const Waiter* const waiter : waiters_.of(token)) {
    if (waiter->owner.empty() || waiter->owner == owner) continue;
    answer.outcome = LeaseOutcome::in_use;
    answer.in_use = use_by_owner(waiter->owner);
    return answer;
  }
  return std::nullopt;
}

}  // namespace locker::core
