#include "core/waiters.hpp"

#include <algorithm>

#include "core/assert.hpp"

namespace locker::core {

Waiter& Waiters::add(std::unique_ptr<Waiter> waiter) {
  Waiter& added = *waiter;
  by_id_.emplace(added.id, std::move(waiter));
  by_ticket_.emplace(added.ticket, &added);
  by_token_[added.token].push_back(&added);
  for (const Wanted& wanted : added.wanted) {
    wanted_.emplace(std::pair{added.token, std::string_view{wanted.packed_path}}, &added);
  }
  bytes_ += added.bytes;
  return added;
}

void Waiters::remove(Waiter& waiter) {
  const auto same = by_token_.find(waiter.token);
  std::erase(same->second, &waiter);
  if (same->second.empty()) by_token_.erase(same);
  for (const Wanted& wanted : waiter.wanted) wanted_.erase({waiter.token, wanted.packed_path});
  by_ticket_.erase(waiter.ticket);
  bytes_ -= waiter.bytes;
  by_id_.erase(waiter.id);
}

void Waiters::change_id(Waiter& waiter, WaiterId id) {
  auto node = by_id_.extract(waiter.id);
  node.key() = waiter.id = id;
  by_id_.insert(std::move(node));
}

void Waiters::change_ticket(Waiter& waiter, Ticket ticket) {
  auto node = by_ticket_.extract(waiter.ticket);
  node.key() = waiter.ticket = ticket;
  by_ticket_.insert(std::move(node));
}

Waiter* Waiters::find(WaiterId id) const {
  const auto at = by_id_.find(id);
  return at == by_id_.end() ? nullptr : at->second.get();
}

Waiter* Waiters::who_wants(const Token& token, std::string_view packed_path) const {
  const auto at = wanted_.find({token, packed_path});
  return at == wanted_.end() ? nullptr : at->second;
}

void Waiters::check_invariants() const {
  std::size_t bytes = 0;
  std::size_t paths = 0;
  for (const auto& [id, waiter] : by_id_) {
    LOCKER_ASSERT(waiter->id == id && by_ticket_.at(waiter->ticket) == waiter.get());
    const auto& same = by_token_.at(waiter->token);
    LOCKER_ASSERT(std::count(same.begin(), same.end(), waiter.get()) == 1);
    bytes += waiter->bytes;
    paths += waiter->wanted.size();
    for (const Wanted& wanted : waiter->wanted) {
      LOCKER_ASSERT(who_wants(waiter->token, wanted.packed_path) == waiter.get());
    }
  }
  LOCKER_ASSERT(bytes == bytes_ && by_ticket_.size() == size() && wanted_.size() == paths);
}

}  // namespace locker::core
