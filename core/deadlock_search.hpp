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

/// Whether a request would wait for itself: a search of the graph "lease waits for lease", breadth
/// first, from the request's own lease. Who has a choice, waiting for any of several, is not
/// followed: another one may come free. O(waiters and holders that are met); of more holders at one
/// place than there are leases that wait, these are asked instead. What is not found in the steps
/// that SearchBudget grants is taken for none, because nobody else is served meanwhile.
class Arbiter::DeadlockSearch {
 public:
  explicit DeadlockSearch(Arbiter& arbiter)
      : arbiter_(arbiter),
        steps_max_(arbiter.search_budget_.for_one(arbiter.now_.instant)),
        search_steps_before_(arbiter.table_.search_steps()) {}
  ~DeadlockSearch() { arbiter_.search_budget_.spend(steps()); }
  DeadlockSearch(const DeadlockSearch&) = delete;
  DeadlockSearch& operator=(const DeadlockSearch&) = delete;

  /// The cycle, beginning with the request itself; empty when there is none.
  [[nodiscard]] std::vector<CycleStep> find(const Waiter& request);
  /// The same, but without the other requests of its lease as a beginning. Enough for one that
  /// nobody stands behind: cycles through the others were looked for when those came. With hundreds
  /// of them, they are nearly all there is to look at.
  [[nodiscard]] std::vector<CycleStep> find_by_itself(const Waiter& request);

  /// What was met, and what was asked to know whether it is in the way.
  [[nodiscard]] std::size_t steps() const {
    return steps_ + (arbiter_.table_.search_steps() - search_steps_before_);
  }

 private:
  static constexpr std::size_t steps_of_a_path = 2;  // all its prefixes are looked up
  using Place = std::tuple<std::string_view, Mode, bool, bool>;
  /// How a lease was reached: `from`, a request of another one, waits for it at `wanted`. There it
  /// holds something, or its own request stands before.
  struct Reached {
    const Waiter* from = nullptr;
    const Wanted* wanted = nullptr;
    const Waiter* before = nullptr;       // null: it holds something
    std::optional<std::uint32_t> lock{};  // that is held, if it is known which
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
  std::vector<Token> holding_;  // once it was asked for
  std::set<Place> looked_at_;   // whose holders are reached
  WaitQueue::Seen seen_;
  std::vector<const Waiter*> passed_;  // met, but not in the way of the one who met them
  Token passing_;                      // the lease that passes them, by is_passed_
  Passed is_passed_;
};

}  // namespace locker::core
