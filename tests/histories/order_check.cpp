#include <algorithm>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "tests/histories/check.hpp"
#include "tests/histories/rules.hpp"

namespace locker::histories {
namespace {

/// Who is shown as waiting in a reply waits until its own answer was decided: a request that was
/// sent only after that reply had come stands behind it, if the two clash. So it must not be
/// granted first. Judged are waiters of whom it is certain which request was shown (the first of
/// its lease's that is under way), against requests of leases that hold nothing: a lease that holds
/// something passes those who wait for it.
class OrderCheck {
 public:
  OrderCheck(const History& history, const Asked& asked, const LockModel& model, Faults& faults)
      : history_(history), asked_(asked), model_(model), faults_(faults) {}

  void run() {
    for (const Operation& operation : history_.operations) {
      for (const Listed& waiter : operation.reply.waiters) see(waiter, operation);
      for (const Listed& blocker : operation.reply.blocked_by) see(blocker, operation);
    }
    for (const auto& [waiter, seen] : sightings_) check_overtaking(*waiter, *seen);
    for (const Operation& operation : history_.operations) check_places(operation);
  }

 private:
  [[nodiscard]] const Operation* find_waiter(const Listed& listed, const Operation& seen) const;
  void see(const Listed& listed, const Operation& seen);
  void check_overtaking(const Operation& waiter, const Operation& seen);
  void check_places(const Operation& look);
  [[nodiscard]] Nanoseconds may_stand_since(const Operation& request) const;
  [[nodiscard]] Index decided_at(const Operation& waiter) const;
  [[nodiscard]] static bool stands_behind(const LockModel::Lock& lock, const Operation& request,
                                          const Operation& waiter);

  const History& history_;
  const Asked& asked_;
  const LockModel& model_;
  Faults& faults_;
  std::map<const Operation*, const Operation*> sightings_;  // the first reply that showed it
};

const Operation* OrderCheck::find_waiter(const Listed& listed, const Operation& seen) const {
  if (listed.state != Listed::State::waiting) return nullptr;
  for (const Operation* operation : asked_.about(listed.owner)) {
    const bool is_under_way =
        is_decision(*operation) && operation->sent < seen.sent && operation->got > seen.got;
    if (!is_under_way || !operation->is_acquire() || operation->wait_ms == 0) continue;
    const bool wants_it = std::any_of(
        operation->wanted.begin(), operation->wanted.end(), [&listed](const Wanted& wanted) {
          return wanted.path == listed.path && wanted.shape.is_shared == listed.shape.is_shared;
        });
    if (wants_it && asked_.is_undisturbed(*operation)) return operation;
  }
  return nullptr;
}

void OrderCheck::see(const Listed& listed, const Operation& seen) {
  const Operation* const waiter = find_waiter(listed, seen);
  if (waiter == nullptr) return;
  const Operation*& first = sightings_[waiter];
  if (first == nullptr || seen.got < first->got) first = &seen;
}

/// The place of one whose wait was over is kept for a while, for the same request.
Nanoseconds OrderCheck::may_stand_since(const Operation& request) const {
  Nanoseconds since = request.sent;
  for (const Operation* operation : asked_.about(request.owner)) {
    const bool is_same = operation->is_acquire() && operation->wanted == request.wanted;
    if (is_same) since = std::min(since, operation->sent);
  }
  return since;
}

/// The waiter stood in the queue in all states below this one.
Index OrderCheck::decided_at(const Operation& waiter) const {
  const bool is_granted = waiter.status == 200 || waiter.status == 201;
  const auto& locks = model_.locks_with(waiter.reply.fence);
  return is_granted && !locks.empty() ? model_.locks()[locks.front()].from : waiter.index + 1;
}

bool OrderCheck::stands_behind(const LockModel::Lock& lock, const Operation& request,
                               const Operation& waiter) {
  return std::any_of(waiter.wanted.begin(), waiter.wanted.end(), [&](const Wanted& wanted) {
    return request.kind == Kind::canhaz ? blocks(wanted.path, wanted.shape, lock.path)
                                        : clash(wanted.path, wanted.shape, lock.path, lock.shape);
  });
}

void OrderCheck::check_overtaking(const Operation& waiter, const Operation& seen) {
  const Index until = decided_at(waiter);
  const auto& locks = model_.locks();
  auto lock =
      std::upper_bound(locks.begin(), locks.end(), seen.index,
                       [](Index index, const LockModel::Lock& each) { return index < each.from; });
  for (; lock != locks.end() && lock->from < until; ++lock) {
    if (lock->owner == waiter.owner) continue;
    const Operation* const request = asked_
                                         .find_request({lock->owner,
                                                        {lock->path, lock->shape},
                                                        lock->meta,
                                                        lock->lock_delay_ms,
                                                        lock->fence,
                                                        lock->inherits_until})
                                         .first;
    if (request == nullptr || !stands_behind(*lock, *request, waiter)) continue;
    if (may_stand_since(*request) <= seen.got) continue;
    Index before = lock->from - 1;
    while (!model_.is_state(before)) --before;
    const auto& own = model_.locks_of(lock->owner);
    const bool holds_something = std::any_of(
        own.begin(), own.end(), [&](std::size_t place) { return locks[place].is_held(before); });
    if (holds_something) continue;
    faults_.add(waiter, "it was overtaken by " + lock->owner + ", who asked for " + lock->path +
                            " after line " + std::to_string(seen.line) +
                            " had shown it waiting, and was granted it at index " +
                            std::to_string(lock->from));
  }
}

void OrderCheck::check_places(const Operation& look) {
  const auto& waiters = look.reply.waiters;
  for (std::size_t i = 0; i < waiters.size(); ++i) {
    for (std::size_t j = i + 1; j < waiters.size(); ++j) {
      const Operation* const before = find_waiter(waiters[i], look);
      const Operation* const behind = find_waiter(waiters[j], look);
      if (before == nullptr || behind == nullptr) continue;
      if (may_stand_since(*before) <= sightings_.at(behind)->got) continue;
      faults_.add(look,
                  waiters[i].owner + " stands before " + waiters[j].owner + ", who came first");
    }
  }
}

}  // namespace

void check_order(const History& history, const Asked& asked, const LockModel& model,
                 Faults& faults) {
  OrderCheck{history, asked, model, faults}.run();
}

}  // namespace locker::histories
