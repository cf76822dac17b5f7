#pragma once

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <vector>

#include "core/deadline_queue.hpp"
#include "core/request.hpp"
#include "core/waiter.hpp"

namespace locker::core {

/// Which waiter is looked at next.
///
/// Invariant: every waiter that is not kept is either in here, or registered with something that is
/// in its way (for `any`: with one thing in the way of each that is not free). So no wake-up is
/// lost, and what goes wakes only those who counted on it.
class Rechecks {
 public:
  /// A longer list than this is taken over whole.
  explicit Rechecks(std::size_t woken_at_once_max) : woken_at_once_max_(woken_at_once_max) {}

  /// It is looked at again when the list's thing goes. It can be in several lists.
  static void register_in(Waiter& waiter, Dependants& list);
  /// It is looked at again, wherever it was.
  void add(Waiter& waiter);
  void add_all(Dependants& list);
  /// The same for a list that goes with what it belonged to; null: there was none. O(1) for a long
  /// one: its members stay registered in it until it is their turn.
  void take_over(std::unique_ptr<Dependants> list);
  /// It is not looked at any more, nor registered.
  void forget(Waiter& waiter);

  /// The journal makes room: nobody is looked at before.
  void hold_until(Instant instant) { held_until_ = instant; }
  [[nodiscard]] Instant held_until() const { return held_until_; }
  /// The journal has room, but not for this one: it is looked for again now and then.
  void delay(Waiter& waiter, Instant now);
  static constexpr std::chrono::milliseconds look_for_room_after{50};

  /// First come, first served: the lowest ticket of all that are to be looked at. Null: nobody, or
  /// not yet.
  [[nodiscard]] Waiter* take_next(Instant now,
                                  const std::function<bool(const Waiter&)>& has_room_for);
  /// When take_next() has somebody to look at, or to look for room for.
  [[nodiscard]] std::optional<Instant> next_due() const {
    if (!next_.empty() || !lists_.empty()) return held_until_;
    if (!delayed_.empty()) return std::max(delayed_until_, held_until_);
    return std::nullopt;
  }

  /// For tests, of this and the next one: but for the lists that were taken over.
  [[nodiscard]] bool contains(const Waiter& waiter) const {
    return next_.contains(waiter.ticket) || delayed_.contains(waiter.ticket);
  }
  [[nodiscard]] std::size_t size() const { return next_.size() + delayed_.size(); }

 private:
  static void unregister(Waiter& waiter);

  const std::size_t woken_at_once_max_;
  std::map<Ticket, Waiter*> next_;
  std::vector<std::unique_ptr<Dependants>> lists_;  // that were taken over
  Instant held_until_{};
  std::map<Ticket, Waiter*> delayed_;
  Instant delayed_until_{};
};

}  // namespace locker::core
