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

/// All waiters, with those whose place is kept; found by id, ticket, token, and token and path.
class Waiters {
 public:
  /// REQUIRES: its id and its ticket are unused, and its lease wants none of its paths yet.
  Waiter& add(std::unique_ptr<Waiter> waiter);
  void remove(Waiter& waiter);
  /// REQUIRES, for this and change_ticket(): the new value is unused.
  void change_id(Waiter& waiter, WaiterId id);
  void change_ticket(Waiter& waiter, Ticket ticket);

  /// Null if there is none.
  [[nodiscard]] Waiter* find(WaiterId id) const;
  /// Returns the requests of this lease, in order of arrival; empty if it has none.
  [[nodiscard]] std::span<Waiter* const> of(const Token& token) const {
    const auto waiting = by_token_.find(token);
    if (waiting == by_token_.end()) return {};
    return waiting->second;
  }
  /// Returns the lease's only request for this path; null if there is none.
  [[nodiscard]] Waiter* who_wants(const Token& token, std::string_view packed_path) const;
  [[nodiscard]] const std::map<Ticket, Waiter*>& by_ticket() const { return by_ticket_; }
  [[nodiscard]] const std::map<Token, std::vector<Waiter*>>& by_token() const { return by_token_; }

  [[nodiscard]] std::size_t size() const { return by_id_.size(); }
  /// The approximate memory of all waiters.
  [[nodiscard]] std::size_t bytes() const { return bytes_; }
  /// For tests: asserts that each waiter is found in all ways. O(waiters).
  void check_invariants() const;

 private:
  std::map<WaiterId, std::unique_ptr<Waiter>> by_id_;
  std::map<Ticket, Waiter*> by_ticket_;
  std::map<Token, std::vector<Waiter*>> by_token_;  // only tokens with waiters
  std::map<std::pair<Token, std::string_view>, Waiter*> wanted_;
  std::size_t bytes_ = 0;
};

}  // namespace locker::core
