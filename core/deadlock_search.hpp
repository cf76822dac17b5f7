#pragma once

#include <deque>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <tuple>
#include <vector>

#include "core/arbiter.hpp"

namespace locker::core {

/// Finds the deadlock that a request would close: a breadth-first search of the graph "lease waits
/// for lease", from the request's own lease. Waiters with a choice (any of several) are not
/// followed, because another of their locks may become free. O(waiters and holders that are met);
/// if one place has more holders than there are waiting leases, these are checked instead. A
/// deadlock that is not found within the steps that SearchBudget grants counts as none, because
/// nobody else is served during the search.
class Arbiter::DeadlockSearch {
 public:
  explicit DeadlockSearch(Arbiter& arbiter)
      : arbiter_(arbiter),
        steps_max_(arbiter.search_budget_.for_one(arbiter.now_.instant)),
        search_steps_before_(arbiter.table_.search_steps()) {}
  ~DeadlockSearch() { arbiter_.search_budget_.spend(steps()); }
  DeadlockSearch(const DeadlockSearch&) = delete;
  DeadlockSearch& operator=(const DeadlockSearch&) = delete;

  /// Returns the cycle, beginning with the request itself; empty if there is none.
  [[nodiscard]] std::vector<CycleStep> find(const Waiter& request);
  /// Like find(), but does not start from the other requests of the lease. Enough for a request
  /// that nobody is queued behind: cycles through the others were searched for when those arrived.
  /// If a lease has hundreds of requests, they are nearly all of what there is to search.
  [[nodiscard]] std::vector<CycleStep> find_by_itself(const Waiter& request);

  /// The steps taken: waiters and holders met, and checks of whether they are in the way.
  [[nodiscard]] std::size_t steps() const {
    return steps_ + (arbiter_.table_.search_steps() - search_steps_before_);
  }

 private:
  static constexpr std::size_t steps_of_a_path = 2;  // all its prefixes are looked up
  using Place = std::tuple<std::string_view, Mode, bool, bool>;
  /// How a lease was reached: `from`, a request of another lease, waits for it at `wanted`, where
  /// it holds a lock or has an earlier request.
  struct Reached {
    const Waiter* from = nullptr;
    const Wanted* wanted = nullptr;
    const Waiter* before = nullptr;       // the earlier request; null: it holds a lock
    std::optional<std::uint32_t> lock{};  // the lock that it holds, if known
  };
  [[nodiscard]] bool goes_on() {
    ++steps_;
    return !is_found_ && steps() <= steps_max_;
  }
  [[nodiscard]] bool somebody_may_wait_for(const Waiter& request) const;
  [[nodiscard]] bool can_wait_for_itself(const Waiter& request);
  [[nodiscard]] std::vector<CycleStep> follow(const Waiter& request);
  void expand(const Waiter& waiter);
  void expand_holders(const Waiter& waiter, const Wanted& wanted);
  void expand_wanted(const Waiter& waiter, const Wanted& wanted);
  [[nodiscard]] bool is_passed(const Waiter& other, const Waiter& by);
  [[nodiscard]] bool is_in_the_way(const Waiter& other, const Waiter& waiter, const Wanted& wanted);
  [[nodiscard]] const std::vector<Token>& leases_that_wait_and_hold();
  [[nodiscard]] bool holds_in_the_way(const Token& token, const Wanted& wanted) const;
  void reach(const Token& to, const Reached& reached);
  [[nodiscard]] CycleStep step_to(const Token& to, const Reached& reached) const;
  [[nodiscard]] std::vector<CycleStep> trace() const;

  Arbiter& arbiter_;
  const std::size_t steps_max_;
  Token own_;
  bool is_found_ = false;
  std::size_t steps_ = 0;
  std::uint64_t search_steps_before_;
  std::map<Token, Reached> reached_;
  std::deque<Token> next_;
  std::vector<Token> holding_;  // computed on first use
  std::set<Place> looked_at_;   // places whose holders are reached
  WaitQueue::Seen seen_;
  std::vector<const Waiter*> passed_;  // met, but passed by the waiter that met them
  Token passing_;                      // the lease that is_passed_ is about
  Passed is_passed_;
};

}  // namespace locker::core
