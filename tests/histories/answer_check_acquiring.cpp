// Answers to those who want locks.
#include <algorithm>

#include "tests/histories/answer_check.hpp"
#include "tests/histories/rules.hpp"

namespace locker::histories {
namespace {

constexpr std::size_t blockers_listed_max = 16;

std::size_t needed(const Operation& operation) {
  return operation.any == 0 ? operation.wanted.size() : operation.any;
}

std::string_view reason_of(Record::Kind end) { return name_of(end); }

}  // namespace

void AnswerCheck::check_canhaz(const Operation& operation) {
  const auto& granted = model_.locks_of(operation.owner);
  if (operation.reply.ok) {
    if (granted.size() != 1) return faults_.add(operation, "the journal has not just this grant");
    const Lock& lock = model_.locks()[granted.front()];
    if (Wanted{lock.path, lock.shape} != operation.wanted.front()) {
      faults_.add(operation, "the journal has it as " + lock.path);
    }
    if (lock.from != model_.first_possible(operation.index) ||
        lock.from <= timeline_.known_at(operation.sent)) {
      faults_.add(operation, "it was granted at index " + std::to_string(lock.from));
    }
    return;
  }
  const bool fits = is_in_some_state([&](Index at) {
    const std::string told = operation.reply.locked_by.value_or("");
    if (const Lock* const lock = covering(operation.path(), at)) return told == lock->owner;
    const auto& all = asked_.about(told);
    return std::any_of(all.begin(), all.end(), [&](const Operation* other) {
      return can_wait(*other, operation, at) &&
             std::any_of(other->wanted.begin(), other->wanted.end(), [&](const Wanted& its) {
               return blocks(its.path, its.shape, operation.path());
             });
    });
  });
  if (fits) return;
  const Lock* const lock = covering(operation.path(), operation.index);
  faults_.add(operation, operation.reply.locked_by.value_or("nobody") +
                             " is no reason to refuse it at index " +
                             std::to_string(operation.index) + ", where " +
                             (lock == nullptr ? "nobody" : lock->owner) + " is in the way");
}

void AnswerCheck::check_granted(const Operation& operation) {
  const Reply& reply = operation.reply;
  Locks locks;
  for (const Listed& told : reply.locks) {
    const Lock* found = nullptr;
    for (const std::size_t place : model_.locks_with(reply.fence)) {
      const Lock& lock = model_.locks()[place];
      if (lock.path == told.path && lock.shape == told.shape) found = &lock;
    }
    if (found == nullptr || found->owner != operation.owner) {
      return faults_.add(operation, "the journal has no grant of " + told.path + " with fence " +
                                        std::to_string(reply.fence) + " to " + operation.owner);
    }
    const Wanted granted{told.path, told.shape};
    if (std::find(operation.wanted.begin(), operation.wanted.end(), granted) ==
        operation.wanted.end()) {
      faults_.add(operation, "it was granted " + told.path + ", which it did not want");
    }
    locks.push_back(found);
  }
  if (locks.size() != needed(operation)) {
    return faults_.add(operation, "it was granted " + std::to_string(locks.size()) + " locks");
  }
  const auto [known, is_new] = owners_.try_emplace(reply.token, operation.owner);
  if (reply.token.empty() || (!is_new && known->second != operation.owner) ||
      (!operation.token.empty() && operation.token != reply.token)) {
    faults_.add(operation, "its token is another's");
  }
  if (reply.owner != operation.owner) faults_.add(operation, "its owner is " + reply.owner);
  const std::int64_t asked_ttl = operation.ttl_ms.value_or(0);
  if (asked_ttl != 0 && reply.ttl_ms != 0 && reply.ttl_ms < asked_ttl) {
    faults_.add(operation, "its TTL is shorter than it asked for");
  }
  if (operation.status == 201) check_granted_anew(operation, locks);
  const bool is_held = is_in_some_state([&](Index at) {
    const Lease* const lease = model_.living_lease(operation.owner, at);
    return lease != nullptr && lease->ttl_ms(at) == reply.ttl_ms &&
           std::all_of(locks.begin(), locks.end(),
                       [at](const Lock* lock) { return lock->is_held(at); });
  });
  if (!is_held) {
    faults_.add(operation,
                "it has not all that with this TTL at index " + std::to_string(operation.index));
  }
}

void AnswerCheck::check_granted_anew(const Operation& operation, const Locks& locks) {
  if (model_.locks_with(operation.reply.fence).size() != locks.size()) {
    faults_.add(operation, "the journal has more of this grant");
  }
  for (const Lock* lock : locks) {
    if (lock->from > timeline_.known_at(operation.sent) && lock->from <= operation.index) continue;
    faults_.add(operation, "it was granted at index " + std::to_string(lock->from) +
                               ", not between its sending and index " +
                               std::to_string(operation.index));
  }
  if (operation.wait_ms == 0 && locks.back()->from != model_.first_possible(operation.index)) {
    faults_.add(operation, "others were decided between its grant and index " +
                               std::to_string(operation.index));
  }
  // Who lost a lease hears of it, and does not get another one by the same token.
  const Lease& lease = model_.leases()[locks.front()->lease];
  if (lease.from != locks.front()->from || !asked_.is_undisturbed(operation)) return;
  const Lease* const before = model_.ended_lease(operation.owner, lease.from);
  if (before == nullptr || before->end == Record::Kind::released) return;
  if (is_remembered(before->until, operation)) {
    faults_.add(operation, "its lease has ended, and it was granted another");
  }
}

void AnswerCheck::check_refused(const Operation& operation) {
  // Who has waited is refused with no record at all: in the state of the index itself.
  if (operation.wait_ms != 0) window_.from = window_.to;
  const bool fits =
      is_in_some_state([&](Index at) { return !fault_of_refusal(operation, at).has_value(); });
  if (fits) return;
  faults_.add(operation, "it was refused at index " + std::to_string(operation.index) + ", but " +
                             fault_of_refusal(operation, operation.index).value_or("between"));
}

std::optional<std::string> AnswerCheck::fault_of_refusal(const Operation& operation,
                                                         Index at) const {
  const auto& blocked_by = operation.reply.blocked_by;
  std::vector<Listed> holders;
  std::vector<Listed> waiters;
  for (const Listed& each : blocked_by) {
    (each.state == Listed::State::waiting ? waiters : holders).push_back(each);
  }
  const auto stands_against = [](const Lock& lock, const Wanted& wanted) {
    return clash(lock.path, lock.shape, wanted.path, wanted.shape);
  };
  const Locks in_the_way = locks_at(at, [&](const Lock& lock) {
    return !is_own(lock, operation, at) &&
           std::any_of(operation.wanted.begin(), operation.wanted.end(),
                       [&](const Wanted& wanted) { return stands_against(lock, wanted); });
  });
  const bool is_cut = blocked_by.size() >= blockers_listed_max;
  const auto wrong =
      difference(holders, in_the_way, at, is_cut ? Listing::cut_short : Listing::brief);
  if (wrong || is_cut) return wrong;
  for (const Listed& waiter : waiters) {
    if (waiter.owner != operation.owner && is_waiter(waiter, operation, at, operation.wanted)) {
      continue;
    }
    return waiter.owner + " cannot wait before it";
  }
  std::size_t free = 0;
  for (const Wanted& wanted : operation.wanted) {
    const bool is_held = std::any_of(in_the_way.begin(), in_the_way.end(), [&](const Lock* lock) {
      return stands_against(*lock, wanted);
    });
    const bool is_awaited = std::any_of(waiters.begin(), waiters.end(), [&](const Listed& waiter) {
      return is_waiter(waiter, operation, at, {wanted});
    });
    if (!is_held && !is_awaited) ++free;
  }
  if (free >= needed(operation)) return "nothing was in the way";
  return std::nullopt;
}

void AnswerCheck::check_conflict(const Operation& operation) {
  const std::string& error = operation.reply.error;
  const auto& all = asked_.about(operation.owner);
  if (error == "superseded") {
    // Perhaps by one that was left before, and read later.
    const bool is_so = std::any_of(all.begin(), all.end(), [&](const Operation* other) {
      return other != &operation && other->wanted == operation.wanted &&
             other->sent < operation.got && (!other->is_answered() || other->sent > operation.sent);
    });
    if (!is_so) faults_.add(operation, "nobody sent it again");
    return;
  }
  if (error == "deadlock") {
    if (!is_in_some_state([&](Index at) { return is_cycle(operation, at); })) {
      faults_.add(operation, "the cycle that it tells of is none");
    }
    return;
  }
  const bool is_in_use = is_in_some_state([&](Index at) {
    if (operation.kind == Kind::open_lease) {
      return model_.living_lease(operation.owner, at) != nullptr;
    }
    return std::any_of(operation.wanted.begin(), operation.wanted.end(), [&](const auto& wanted) {
      if (held_by(operation.owner, wanted.path, at) != nullptr) return true;
      return std::any_of(all.begin(), all.end(), [&](const Operation* other) {
        return other != &operation && can_wait(*other, operation, at) &&
               std::any_of(other->wanted.begin(), other->wanted.end(),
                           [&](const Wanted& its) { return its.path == wanted.path; });
      });
    });
  });
  if (error != "token_in_use" || !is_in_use) {
    faults_.add(operation, "it was answered " + error + ", which has no reason");
  }
}

bool AnswerCheck::is_cycle(const Operation& operation, Index at) const {
  const auto& cycle = operation.reply.cycle;
  if (cycle.empty() || cycle.front().owner != operation.owner) return false;
  for (std::size_t i = 0; i < cycle.size(); ++i) {
    const std::string& other = cycle[(i + 1) % cycle.size()].owner;
    if (!waits_because_of(operation, at, cycle[i], other)) return false;
  }
  return true;
}

/// Whether the step's owner can wait for its path, and `other` has or wants what it is told to be
/// blocked by.
bool AnswerCheck::waits_because_of(const Operation& operation, Index at,
                                   const Reply::CycleStep& step, std::string_view other) const {
  for (const Operation* waiter : asked_.about(step.owner)) {
    if (!can_wait(*waiter, operation, at)) continue;
    for (const Wanted& wanted : waiter->wanted) {
      if (wanted.path != step.waits_for) continue;
      const auto is_told_of = [&](const std::string& at_path, const Shape& shape) {
        return at_path == step.blocked_by && clash(at_path, shape, wanted.path, wanted.shape);
      };
      for (const std::size_t place : model_.locks_with(step.fence)) {
        const Lock& lock = model_.locks()[place];
        if (lock.owner == other && lock.is_held(at) && is_told_of(lock.path, lock.shape)) {
          return true;
        }
      }
      if (step.fence != 0) continue;
      for (const Operation* before : asked_.about(other)) {
        if (!can_wait(*before, operation, at)) continue;
        for (const Wanted& its : before->wanted) {
          if (is_told_of(its.path, its.shape)) return true;
        }
      }
    }
  }
  return false;
}

void AnswerCheck::check_lease_ended(const Operation& operation) {
  const bool only_looks = operation.kind == Kind::look_at_lease;
  if (only_looks) window_.from = window_.to;
  const bool fits = is_in_some_state([&](Index at) {
    if (model_.living_lease(operation.owner, at) != nullptr) return false;
    const Lease* const lease = model_.ended_lease(operation.owner, at);
    if (lease == nullptr || reason_of(lease->end) != operation.reply.reason) return false;
    return only_looks || operation.kind == Kind::renew || lease->end != Record::Kind::released;
  });
  if (!fits) faults_.add(operation, "its lease has not been " + operation.reply.reason);
}

void AnswerCheck::check_unknown_lease(const Operation& operation) {
  if (operation.kind == Kind::look_at_lease) window_.from = window_.to;
  const bool fits = is_in_some_state([&](Index at) {
    if (model_.living_lease(operation.owner, at) != nullptr) return false;
    const Lease* const lease = model_.ended_lease(operation.owner, at);
    return lease == nullptr || !is_remembered(lease->until, operation);
  });
  if (!fits) faults_.add(operation, "the server must know this lease");
}

}  // namespace locker::histories
