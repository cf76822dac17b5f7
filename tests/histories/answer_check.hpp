#pragma once

#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "tests/histories/check.hpp"

namespace locker::histories {

/// Compares each reply with the model at the index it was decided at. What can be decided exactly:
///
/// - `dohaz` and all that is looked at: the state at the index itself.
/// - The answer to a command: its own records are in the journal, as the last ones that can be no
///   consequence of something else; a refusal fits a state from there up to the index (see
///   LockModel::first_possible()), and to one only if it waited first.
///
/// What cannot, because the journal does not have it: who waited at that moment. A waiter that is
/// named must be a request that can have waited then; that none is missing is left to the
/// simulation.
class AnswerCheck {
 public:
  AnswerCheck(const Evidence& evidence, const Asked& asked, const Timeline& timeline,
              const LockModel& model, Faults& faults);
  void run();

 private:
  using Lock = LockModel::Lock;
  using Lease = LockModel::Lease;
  using Locks = std::vector<const Lock*>;
  enum class Listing { whole, brief, cut_short };  // brief: without flags, TTL and meta
  struct Window {
    Index from = 0;
    Index to = 0;
  };

  void check_undecided(const Operation& operation);
  void check(const Operation& operation);
  // Requests for locks.
  void check_canhaz(const Operation& operation);
  void check_granted(const Operation& operation);
  void check_granted_anew(const Operation& operation, const Locks& locks);
  void check_refused(const Operation& operation);
  void check_conflict(const Operation& operation);
  [[nodiscard]] std::optional<std::string> fault_of_refusal(const Operation& operation,
                                                            Index at) const;
  [[nodiscard]] bool is_cycle(const Operation& operation, Index at) const;
  [[nodiscard]] bool waits_because_of(const Operation& operation, Index at,
                                      const Reply::CycleStep& step, std::string_view other) const;
  // What gives back and keeps.
  void check_nowant(const Operation& operation);
  void check_release(const Operation& operation);
  void check_release_all(const Operation& operation);
  void check_renew(const Operation& operation);
  void check_opened(const Operation& operation);
  void check_force(const Operation& operation);
  void check_lease_ended(const Operation& operation);
  void check_unknown_lease(const Operation& operation);
  // What only looks.
  void check_dohaz(const Operation& operation);
  void check_look(const Operation& operation);
  void check_look_at_lease(const Operation& operation);

  /// Whether `fits` holds in one of the states that the reply can be of.
  [[nodiscard]] bool is_in_some_state(const std::function<bool(Index)>& fits) const;
  [[nodiscard]] Locks locks_at(Index at, const std::function<bool(const Lock&)>& chosen) const;
  [[nodiscard]] bool is_own(const Lock& lock, const Operation& operation, Index at) const;
  /// The lock that is named as the reason by the rule of Locker 1.0b; null: none.
  [[nodiscard]] const Lock* covering(std::string_view path, Index at) const;
  [[nodiscard]] const Lock* held_by(std::string_view owner, std::string_view path, Index at) const;
  /// The last one that this owner had here and has no more.
  [[nodiscard]] const Lock* lost_by(std::string_view owner, std::string_view path, Index at) const;
  [[nodiscard]] bool can_wait(const Operation& other, const Operation& seen_by, Index at) const;
  [[nodiscard]] bool is_waiter(const Listed& waiter, const Operation& seen_by, Index at,
                               const std::vector<Wanted>& wanted) const;
  [[nodiscard]] bool can_have_waited(const Operation& operation, const std::string& path) const;
  [[nodiscard]] bool is_awaited(const Operation& operation, Index at) const;
  [[nodiscard]] std::optional<std::string> difference(const std::vector<Listed>& told,
                                                      const Locks& expected, Index at,
                                                      Listing listing) const;
  /// Whether the server must know what became of something that ended with this record.
  [[nodiscard]] bool is_remembered(Index ended, const Operation& operation) const;

  const Evidence& evidence_;
  const Asked& asked_;
  const Timeline& timeline_;
  const LockModel& model_;
  Faults& faults_;
  std::vector<const Operation*> waiting_;  // by time of sending: all that can wait
  std::unordered_map<std::string_view, std::string_view> owners_;  // by token
  std::size_t busy_ = 0;                                           // answers that decided nothing
  Window window_;
  std::vector<const Lock*> near_;  // there at some index in the window or shortly before
};

}  // namespace locker::histories
