#pragma once

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <functional>
#include <map>
#include <memory>
#include <optional>

#include "core/deadline_queue.hpp"
#include "core/request.hpp"
#include "core/waiter.hpp"

namespace locker::core {

/// Schedules the waiters that are to be re-examined.
///
/// Invariant: every waiter whose place is not merely kept is either in here, or registered with
/// something that is in its way (for `any`: with one thing in the way of each wanted lock that is
/// not free). So no wake-up is lost, and a lock that ends, or a waiter that leaves, wakes only the
/// waiters registered with it.
class Rechecks {
 public:
  /// Lists with more members than this are taken over whole.
  explicit Rechecks(std::size_t woken_at_once_max) : woken_at_once_max_(woken_at_once_max) {}

  /// The waiter is re-examined when the lock or waiter that has this list is gone. It can be in
  /// several lists.
  static void register_in(Waiter& waiter, Dependants& list);
  /// Schedules the waiter, and removes it from all lists.
  void add(Waiter& waiter);
  void add_all(Dependants& list);
  /// Like add_all(), for a list whose lock or waiter is gone; null: it had none. O(1) for a long
  /// list: its members stay registered in it until their turn comes.
  void take_over(std::unique_ptr<Dependants> list);
  /// Removes the waiter from the schedule and from all lists.
  void forget(Waiter& waiter);

  /// No waiter is re-examined before this time: the journal is making room.
  void hold_until(Instant instant) { held_until_ = instant; }
  [[nodiscard]] Instant held_until() const { return held_until_; }
  /// Sets the waiter aside: the journal has room, but not enough for its grant. take_next() checks
  /// again every look_for_room_after.
  void delay(Waiter& waiter, Instant now);
  static constexpr std::chrono::milliseconds look_for_room_after{50};

  /// Takes the scheduled waiter with the lowest ticket: first come, first served. Null if there is
  /// none, or if it is not time yet.
  [[nodiscard]] Waiter* take_next(Instant now,
                                  const std::function<bool(const Waiter&)>& has_room_for);
  /// When take_next() has a waiter to return, or to check the journal's room for.
  [[nodiscard]] std::optional<Instant> next_due() const {
    if (!next_.empty() || !lists_.empty()) return held_until_;
    if (!delayed_.empty()) return std::max(delayed_until_, held_until_);
    return std::nullopt;
  }

  /// For tests, as is size(): without the lists that were taken over.
  [[nodiscard]] bool contains(const Waiter& waiter) const {
    return next_.contains(waiter.ticket) || delayed_.contains(waiter.ticket);
  }
  [[nodiscard]] std::size_t size() const { return next_.size() + delayed_.size(); }

 private:
  static void unregister(Waiter& waiter);
  [[nodiscard]] Waiter* first_in_lists();

  const std::size_t woken_at_once_max_;
  std::map<Ticket, Waiter*> next_;
  // That were taken over, each by a ticket that is not above its first one. Nobody registers in
  // them any more, so their first tickets only rise.
  std::multimap<Ticket, std::unique_ptr<Dependants>> lists_;
  Instant held_until_{};
  std::map<Ticket, Waiter*> delayed_;
  Instant delayed_until_{};
};

}  // namespace locker::core
