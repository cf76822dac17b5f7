#include "tests/histories/asked.hpp"

#include <algorithm>

namespace locker::histories {

const Asked::Operations Asked::none_;

Asked::Asked(const History& history) {
  for (const Operation& operation : history.operations) {
    if (!operation.owner.empty()) by_owner_[operation.owner].push_back(&operation);
    if (operation.status == 201 && operation.is_acquire()) {
      answered_[operation.reply.fence] = &operation;
    }
  }
  for (auto& [owner, operations] : by_owner_) {
    std::sort(operations.begin(), operations.end(),
              [](const auto* a, const auto* b) { return a->sent < b->sent; });
  }
}

const Asked::Operations& Asked::about(std::string_view owner) const {
  const auto at = by_owner_.find(owner);
  return at == by_owner_.end() ? none_ : at->second;
}

Asked::Request Asked::find_request(const Grant& grant) const {
  Request request;
  for (const Operation* operation : about(grant.owner)) {
    if (operation->kind != Kind::canhaz && !operation->is_acquire()) continue;
    const auto& wanted = operation->wanted;
    if (std::find(wanted.begin(), wanted.end(), grant.lock) == wanted.end()) continue;
    const bool asks_for_rest =
        operation->meta == grant.meta && operation->lock_delay_ms == grant.lock_delay_ms;
    const bool leaves_rest = operation->meta.empty() && operation->lock_delay_ms == 0;
    const bool inherits_rest = leaves_rest && operation->sent <= grant.inherits_until;
    if (!asks_for_rest && !inherits_rest) continue;
    if (request.first == nullptr) request.first = operation;
    request.can_have_waited = request.can_have_waited || operation->wait_ms != 0;
  }
  const auto answered = answered_.find(grant.fence);
  if (answered != answered_.end()) request.can_have_waited = answered->second->wait_ms != 0;
  return request;
}

bool Asked::is_undisturbed(const Operation& operation) const {
  for (const Operation* other : about(operation.owner)) {
    if (other == &operation) return true;
    if (!other->is_answered() || other->got > operation.sent) return false;
  }
  return true;
}

}  // namespace locker::histories
