// Answers to those who renew and give back, and to administrators.
#include <algorithm>

#include "tests/histories/answer_check.hpp"
#include "tests/histories/rules.hpp"

namespace locker::histories {
namespace {

using End = Record::Kind;

bool fits(const ForceFilter& filter, const LockModel::Lock& lock) {
  return (filter.path.empty() || filter.path == lock.path) &&
         (filter.prefix.empty() || is_at_or_below(lock.path, filter.prefix)) &&
         (filter.owner.empty() || filter.owner == lock.owner) &&
         (filter.fence == 0 || filter.fence == lock.fence);
}

/// Everything of one owner, so also leases that hold nothing.
bool means_leases(const ForceFilter& filter) {
  return !filter.owner.empty() && filter.path.empty() && filter.prefix.empty() && filter.fence == 0;
}

bool is_forced(const Record& record) {
  return record.kind == End::forced || (record.kind == End::cooling && record.is_forced);
}

}  // namespace

void AnswerCheck::check_nowant(const Operation& operation) {
  const std::string& path = operation.path();
  if (!operation.reply.ok) {
    const bool fits =
        is_in_some_state([&](Index at) { return held_by(operation.owner, path, at) == nullptr; });
    if (!fits) faults_.add(operation, "it was held");
    return;
  }
  const Index at = model_.first_possible(operation.index);
  const Lock* const lost = lost_by(operation.owner, path, at);
  if (lost == nullptr || lost->until != at || lost->end != End::released ||
      at <= timeline_.known_at(operation.sent)) {
    faults_.add(operation, "the journal has no such release at index " + std::to_string(at));
  }
}

bool AnswerCheck::can_have_waited(const Operation& operation, const std::string& path) const {
  return std::any_of(waiting_.begin(), waiting_.end(), [&](const Operation* other) {
    const auto is_path = [&](const Wanted& wanted) { return wanted.path == path; };
    return other->owner == operation.owner && other->sent < operation.got &&
           std::any_of(other->wanted.begin(), other->wanted.end(), is_path);
  });
}

void AnswerCheck::check_release(const Operation& operation) {
  const std::string& path = operation.path();
  const bool is_released = operation.status == 200;
  // It has left the line, or given up a place that was kept for it.
  if (is_released && operation.reply.fence == 0 && can_have_waited(operation, path)) return;
  const bool is_lost = operation.status == 410;
  const bool is_right = is_in_some_state([&](Index at) {
    if (held_by(operation.owner, path, at) != nullptr) return false;
    const Lock* const lost = lost_by(operation.owner, path, at);
    if (is_released || is_lost) {
      return lost != nullptr &&
             name_of(lost->end) == (is_lost ? operation.reply.reason : "released") &&
             (is_lost || lost->fence == operation.reply.fence);
    }
    if (lost != nullptr && is_remembered(lost->lost_at(), operation)) return false;
    const auto is_held = [&](const Lock& lock) {
      return lock.path == path && !lock.is_cooling(at);
    };
    const bool is_others = !locks_at(at, is_held).empty();
    return is_others == (operation.status == 403);
  });
  if (!is_right) {
    faults_.add(operation, "its answer " + std::to_string(operation.status) + " " +
                               operation.reply.reason + " is not so at index " +
                               std::to_string(operation.index));
  }
}

void AnswerCheck::check_release_all(const Operation& operation) {
  const std::size_t count = operation.reply.count;
  if (count == 0) {  // it was released before, had no lock, or only waited for one
    const bool can_have_waited =
        std::any_of(waiting_.begin(), waiting_.end(), [&](const Operation* other) {
          return other->owner == operation.owner && other->sent < operation.got;
        });
    const bool is_right = is_in_some_state([&](Index at) {
      const Lease* const ended = model_.ended_lease(operation.owner, at);
      return model_.living_lease(operation.owner, at) == nullptr &&
             (ended != nullptr ? ended->end == End::released : can_have_waited);
    });
    if (!is_right) faults_.add(operation, "there was no lease without locks");
    return;
  }
  const Index at = model_.first_possible(operation.index);
  const Lease* const lease = model_.ended_lease(operation.owner, at);
  if (lease == nullptr || lease->until != at || lease->end != End::released ||
      at <= timeline_.known_at(operation.sent)) {
    return faults_.add(operation, "the journal has no such release at index " + std::to_string(at));
  }
  const Index before = at - count - (lease->opened != 0 ? 1 : 0);
  const auto held = locks_at(before, [&](const Lock& lock) {
    return is_own(lock, operation, before) && lock.until <= at && lock.end == End::released;
  });
  if (held.size() != count) {
    faults_.add(operation, "it has released " + std::to_string(held.size()) + " locks");
  }
}

// How many wait behind the lease's locks cannot be decided: the journal has no waiters.
void AnswerCheck::check_renew(const Operation& operation) {
  const bool is_right = is_in_some_state([&](Index at) {
    const Lease* const lease = model_.living_lease(operation.owner, at);
    if (lease == nullptr || lease->ttl_ms(at) != operation.reply.ttl_ms) return false;
    const auto held = locks_at(at, [&](const Lock& lock) { return is_own(lock, operation, at); });
    return held.size() == operation.reply.count;
  });
  if (!is_right) {
    faults_.add(operation, "no such lease with this TTL and so many locks lives at index " +
                               std::to_string(operation.index));
  }
  if (operation.ttl_ms && *operation.ttl_ms != operation.reply.ttl_ms) {
    faults_.add(operation, "it has another TTL than was wanted");
  }
}

void AnswerCheck::check_opened(const Operation& operation) {
  const Index opened_at = model_.first_possible(operation.index);
  const bool is_right = is_in_some_state([&](Index at) {
    const Lease* const lease = model_.living_lease(operation.owner, at);
    return lease != nullptr && lease->opened != 0 &&
           lease->ttl_ms(at) == operation.ttl_ms.value_or(0) &&
           (operation.status == 200 ||
            (lease->from == opened_at && lease->from > timeline_.known_at(operation.sent)));
  });
  if (!is_right) faults_.add(operation, "it is not in the journal as it was answered");
}

// What cools already is left alone: nobody asks for it here.
void AnswerCheck::check_force(const Operation& operation) {
  const auto is_meant = [&](const Lock& lock) { return fits(operation.filter, lock); };
  if (operation.status == 404) {
    const auto holds_nothing = [&](std::size_t place, Index at) {
      const Lease& lease = model_.leases()[place];
      const auto is_its = [&](const Lock& lock) {
        return lock.lease == place && !lock.is_cooling(at);
      };
      return lease.is_living(at) && locks_at(at, is_its).empty();
    };
    const auto& leases = model_.leases_of(operation.filter.owner);
    const bool is_right = is_in_some_state([&](Index at) {
      const bool has_lease = means_leases(operation.filter) &&
                             std::any_of(leases.begin(), leases.end(), [&](std::size_t place) {
                               return holds_nothing(place, at);
                             });
      return !has_lease && locks_at(at, [&](const Lock& lock) {
                             return is_meant(lock) && lock.is_held(at);
                           }).empty();
    });
    if (!is_right) faults_.add(operation, "there was something to end");
    return;
  }
  // The others end with the last of their locks: that record stands right before.
  const auto is_of_idle_lease = [&](Index at) {
    const auto& places = model_.leases_of(operation.filter.owner);
    const auto place = std::find_if(places.begin(), places.end(), [&](std::size_t each) {
      const Lease& lease = model_.leases()[each];
      return lease.until == at && lease.opened == model_.record(at).fence;
    });
    if (!means_leases(operation.filter) || place == places.end()) return false;
    const Record& before = model_.record(at - 1);
    const auto& locks = model_.locks_with(before.fence);
    return !is_forced(before) || std::none_of(locks.begin(), locks.end(), [&](std::size_t each) {
      const Lock& lock = model_.locks()[each];
      return lock.position == before.position && lock.lease == *place;
    });
  };
  const Index last = model_.first_possible(operation.index);
  Index at = last;
  std::size_t count = 0;
  for (; at > 0 && count < operation.reply.count; --at) {
    const Record& record = model_.record(at);
    if (!is_forced(record)) break;
    if (is_of_idle_lease(at)) ++count;
    for (const std::size_t place : model_.locks_with(record.fence)) {
      const Lock& lock = model_.locks()[place];
      if (lock.position != record.position) continue;
      if (!is_meant(lock) || lock.is_cooling(at - 1)) {
        return faults_.add(operation, "it ended " + lock.path + ", too");
      }
      ++count;
    }
  }
  if (count != operation.reply.count || at < timeline_.known_at(operation.sent)) {
    return faults_.add(operation, "the journal has " + std::to_string(count) +
                                      " of what it ended before index " + std::to_string(last));
  }
  const auto left =
      locks_at(last, [&](const Lock& lock) { return is_meant(lock) && !lock.is_cooling(last); });
  if (!left.empty()) faults_.add(operation, "it has left " + left.front()->path);
}

}  // namespace locker::histories
