#include "core/rechecks.hpp"

#include <utility>

namespace locker::core {

void Rechecks::register_in(Waiter& waiter, Dependants& list) {
  // Most come last. A waiter for any of several locks can be in the list already.
  list.emplace_hint(list.end(), waiter.ticket, &waiter);
  waiter.registrations.push_back(&list);
}

void Rechecks::unregister(Waiter& waiter) {
  for (Dependants* const list : waiter.registrations) list->erase(waiter.ticket);
  waiter.registrations.clear();
}

void Rechecks::add(Waiter& waiter) {
  unregister(waiter);
  delayed_.erase(waiter.ticket);
  next_.emplace(waiter.ticket, &waiter);
}

void Rechecks::add_all(Dependants& list) {
  while (!list.empty()) add(*list.begin()->second);
}

void Rechecks::take_over(std::unique_ptr<Dependants> list) {
  if (list == nullptr) return;
  if (list->size() <= woken_at_once_max_) return add_all(*list);
  const Ticket first = list->begin()->first;
  lists_.emplace(first, std::move(list));
}

void Rechecks::forget(Waiter& waiter) {
  unregister(waiter);
  delayed_.erase(waiter.ticket);
  next_.erase(waiter.ticket);
}

void Rechecks::delay(Waiter& waiter, Instant now) {
  forget(waiter);
  if (delayed_.empty()) delayed_until_ = now + look_for_room_after;
  delayed_.emplace(waiter.ticket, &waiter);
}

/// Returns the member with the lowest ticket; null if there is none. O(log lists), amortized: a
/// list moves once for each of its members at most.
Waiter* Rechecks::first_in_lists() {
  while (!lists_.empty()) {
    const auto lowest = lists_.begin();
    const Dependants& list = *lowest->second;
    if (!list.empty() && list.begin()->first == lowest->first) return list.begin()->second;
    auto moved = lists_.extract(lowest);
    if (moved.mapped()->empty()) continue;
    moved.key() = moved.mapped()->begin()->first;
    lists_.insert(std::move(moved));
  }
  return nullptr;
}

Waiter* Rechecks::take_next(Instant now, const std::function<bool(const Waiter&)>& has_room_for) {
  if (now < held_until_) return nullptr;
  if (!delayed_.empty() && now >= delayed_until_) {
    delayed_until_ = now + look_for_room_after;
    for (auto at = delayed_.begin(); at != delayed_.end();) {
      const auto delayed = at++;
      if (has_room_for(*delayed->second)) next_.insert(delayed_.extract(delayed));
    }
  }
  Waiter* next = next_.empty() ? nullptr : next_.begin()->second;
  Waiter* const listed = first_in_lists();
  if (next == nullptr || (listed != nullptr && listed->ticket < next->ticket)) next = listed;
  if (next != nullptr) forget(*next);
  return next;
}

}  // namespace locker::core
