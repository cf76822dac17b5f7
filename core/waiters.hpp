#pragma once

#include <cstddef>
#include <map>
#include <memory>
#include <span>
#include <string_view>
#include <utility>
#include <vector>

#include "core/lock.hpp"
#include "core/request.hpp"
#include "core/waiter.hpp"

namespace locker::core {

/// Who waits, or has a place that is kept; found by id, ticket, token, and token and path.
class Waiters {
 public:
  /// REQUIRES: nobody has its id or its ticket, and its lease wants none of its paths yet.
  Waiter& add(std::unique_ptr<Waiter> waiter);
  void remove(Waiter& waiter);
  /// REQUIRES, of this and the next one: nobody has it.
  void change_id(Waiter& waiter, WaiterId id);
  void change_ticket(Waiter& waiter, Ticket ticket);

  /// Null: nobody has it.
  [[nodiscard]] Waiter* find(WaiterId id) const;
  /// The requests of this lease, in the order in which they came. Empty: it has none.
  [[nodiscard]] std::span<Waiter* const> of(const Token& token) const {
    const auto waiting = by_token_.find(token);
    if (waiting == by_token_.end()) return {};
    return waiting->second;
  }
  /// The only one of the lease that wants this path; null: none does.
  [[nodiscard]] Waiter* who_wants(const Token& token, std::string_view packed_path) const;
  [[nodiscard]] const std::map<Ticket, Waiter*>& by_ticket() const { return by_ticket_; }
  [[nodiscard]] const std::map<Token, std::vector<Waiter*>>& by_token() const { return by_token_; }

  [[nodiscard]] std::size_t size() const { return by_id_.size(); }
  /// Of memory that they take, about.
  [[nodiscard]] std::size_t bytes() const { return bytes_; }
  /// For tests: asserts that each is found in all ways. O(their number).
  void check_invariants() const;

 private:
  std::map<WaiterId, std::unique_ptr<Waiter>> by_id_;
  std::map<Ticket, Waiter*> by_ticket_;
  std::map<Token, std::vector<Waiter*>> by_token_;  // of those that have some
  std::map<std::pair<Token, std::string_view>, Waiter*> wanted_;
  std::size_t bytes_ = 0;
};

}  // namespace locker::core
