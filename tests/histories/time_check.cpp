#include <algorithm>
#include <string>

#include "tests/histories/check.hpp"

namespace locker::histories {
namespace {

constexpr Nanoseconds millisecond = 1'000'000;
/// How late things may be on a machine that has much else to do. Nothing may ever be early.
constexpr Nanoseconds lateness = 10'000 * millisecond;

class TimeCheck {
 public:
  TimeCheck(const Evidence& evidence, const Asked& asked, const Timeline& timeline,
            const LockModel& model, Faults& faults)
      : evidence_(evidence), asked_(asked), timeline_(timeline), model_(model), faults_(faults) {}

  void run() {
    for (const Operation& operation : evidence_.history.operations) check_wait(operation);
    for (const LockModel::Lease& lease : model_.leases()) {
      if (lease.ttl_ms(lease.until - 1) == 0) continue;
      if (lease.until != LockModel::never && lease.end == Record::Kind::expired) {
        check_not_early(lease);
      }
      check_not_for_ever(lease);
    }
    for (const LockModel::Lock& lock : model_.locks()) check_somebody_waited(lock);
  }

 private:
  void check_wait(const Operation& operation);
  void check_not_early(const LockModel::Lease& lease);
  void check_not_for_ever(const LockModel::Lease& lease);
  void check_somebody_waited(const LockModel::Lock& lock);
  [[nodiscard]] Nanoseconds undisturbed_since(Nanoseconds from, Nanoseconds to) const;

  const Evidence& evidence_;
  const Asked& asked_;
  const Timeline& timeline_;
  const LockModel& model_;
  Faults& faults_;
};

bool renews(const Operation& operation) {
  return operation.kind == Kind::renew || operation.kind == Kind::open_lease ||
         operation.kind == Kind::canhaz || operation.is_acquire();
}

bool is_granted(const Operation& operation) {
  return operation.kind == Kind::canhaz ? operation.reply.ok
                                        : operation.status == 200 || operation.status == 201;
}

/// An acquire renews its lease when it arrives, and was there before it was answered.
bool has_renewed(const Operation& operation) {
  if (is_granted(operation)) return renews(operation);
  return operation.is_acquire() && !operation.token.empty() && is_decision(operation);
}

/// From when on the server ran, until `to`: not stopped, not started anew.
Nanoseconds TimeCheck::undisturbed_since(Nanoseconds from, Nanoseconds to) const {
  for (const ServerEvent& event : evidence_.events) {
    if (event.at <= to) from = std::max(from, event.at);
  }
  return from;
}

void TimeCheck::check_wait(const Operation& operation) {
  if (operation.status != 423 || operation.wait_ms == 0) return;
  const Nanoseconds waited = operation.got - operation.sent;
  if (waited < operation.wait_ms * millisecond) {
    faults_.add(operation, "it waited " + std::to_string(waited / millisecond) + " ms of " +
                               std::to_string(operation.wait_ms));
  }
  const Nanoseconds since = undisturbed_since(operation.sent, operation.got);
  if (operation.got > since + operation.wait_ms * millisecond + lateness) {
    faults_.add(operation, "its wait of " + std::to_string(operation.wait_ms) + " ms lasted " +
                               std::to_string(waited / millisecond));
  }
}

/// The TTL counts from the last renewal, acquire or grant that came before the end.
void TimeCheck::check_not_early(const LockModel::Lease& lease) {
  Nanoseconds renewed = timeline_.earliest(lease.from);
  for (const std::size_t place : model_.locks_of(lease.owner)) {
    const LockModel::Lock& lock = model_.locks()[place];
    if (lock.from < lease.until) renewed = std::max(renewed, timeline_.earliest(lock.from));
  }
  for (const Operation* operation : asked_.about(lease.owner)) {
    if (!has_renewed(*operation) || operation->index >= lease.until) continue;
    renewed = std::max(renewed, operation->sent);
  }
  const std::int64_t ttl = lease.ttl_ms(lease.until - 1);
  const Nanoseconds ended = timeline_.latest(lease.until);
  if (ended >= renewed + ttl * millisecond) return;
  faults_.add("the lease of " + lease.owner + " expired at index " + std::to_string(lease.until) +
              ", " + std::to_string((ended - renewed) / millisecond) +
              " ms at most after a renewal; its TTL is " + std::to_string(ttl) + " ms");
}

void TimeCheck::check_not_for_ever(const LockModel::Lease& lease) {
  const Nanoseconds lived =
      lease.until == LockModel::never ? timeline_.last_sent() : timeline_.earliest(lease.until);
  Nanoseconds renewed = timeline_.latest(lease.from);
  for (const Operation* operation : asked_.about(lease.owner)) {
    if (!renews(*operation)) continue;
    // A request that was left alone can be read late, and granted at the end of its wait.
    renewed = std::max(renewed, operation->is_answered()
                                    ? operation->got
                                    : operation->closed + operation->wait_ms * millisecond);
  }
  const std::int64_t ttl = lease.ttl_ms(lease.until - 1);
  if (renewed > lived) return;
  const Nanoseconds since = undisturbed_since(renewed, lived);
  if (lived <= since + ttl * millisecond + lateness) return;
  faults_.add("the lease of " + lease.owner + " with a TTL of " + std::to_string(ttl) +
              " ms still lived " + std::to_string((lived - since) / millisecond) +
              " ms after its last renewal, until index " + std::to_string(lease.until));
}

/// A lock is granted only while somebody asks for it.
void TimeCheck::check_somebody_waited(const LockModel::Lock& lock) {
  const Nanoseconds granted = timeline_.earliest(lock.from);
  Nanoseconds left = 0;
  for (const Operation* operation : asked_.about(lock.owner)) {
    const auto& wanted = operation->wanted;
    if (std::find(wanted.begin(), wanted.end(), Wanted{lock.path, lock.shape}) == wanted.end()) {
      continue;
    }
    left = std::max(left, operation->is_answered() ? operation->got : operation->closed);
  }
  if (left == 0 || granted <= undisturbed_since(left, granted) + lateness) return;
  faults_.add(lock.path + " was granted at index " + std::to_string(lock.from) + " to " +
              lock.owner + ", who had left " + std::to_string((granted - left) / millisecond) +
              " ms before");
}

}  // namespace

void check_times(const Evidence& evidence, const Asked& asked, const Timeline& timeline,
                 const LockModel& model, Faults& faults) {
  TimeCheck{evidence, asked, timeline, model, faults}.run();
}

}  // namespace locker::histories
