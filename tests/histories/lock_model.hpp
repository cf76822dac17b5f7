#pragma once

#include <cstdint>
#include <limits>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

#include "tests/histories/asked.hpp"
#include "tests/histories/faults.hpp"
#include "tests/histories/journal.hpp"
#include "tests/histories/timeline.hpp"

namespace locker::histories {

/// What was held when, by a whole journal: a flat list of locks and leases, each with the indexes
/// from and until which it was there. The state at index J is what was there when the journal had
/// exactly J records.
///
/// Reading it, each record is checked for being allowed then: everything is compared with
/// everything.
class LockModel {
 public:
  static constexpr Index never = std::numeric_limits<Index>::max();

  struct Lease {
    std::uint64_t number = 0;
    std::string owner;
    Index from = 0;
    Index until = never;
    Record::Kind end = Record::Kind::released;
    Fence opened = 0;                                  ///< By itself; zero: by a grant.
    std::vector<std::pair<Index, std::int64_t>> ttls;  ///< Each from this index on.
    std::size_t locks = 0;                             ///< While the journal is read.
    [[nodiscard]] bool is_living(Index at) const { return from <= at && at < until; }
    [[nodiscard]] std::int64_t ttl_ms(Index at) const;
  };
  struct Lock {
    Fence fence = 0;
    unsigned position = 0;
    std::size_t lease = 0;  ///< Its place in leases().
    std::string path;
    Shape shape;
    std::string owner;
    std::int64_t lock_delay_ms = 0;
    std::string meta;
    Nanoseconds inherits_until = 0;  ///< See Asked::Grant.
    Index from = 0;
    Index until = never;
    Index cools_from = never;
    Record::Kind end = Record::Kind::released;  ///< How its lease lost it.
    [[nodiscard]] bool is_there(Index at) const { return from <= at && at < until; }
    [[nodiscard]] bool is_cooling(Index at) const { return cools_from <= at && at < until; }
    [[nodiscard]] bool is_held(Index at) const { return is_there(at) && at < cools_from; }
    /// When its lease lost it.
    [[nodiscard]] Index lost_at() const { return cools_from < until ? cools_from : until; }
  };

  /// `journal` must have every record from index 1 on.
  LockModel(const std::vector<Record>& journal, const Asked& asked, const Timeline& timeline,
            Faults& faults);

  [[nodiscard]] const std::vector<Lock>& locks() const { return locks_; }  ///< In order of grant.
  [[nodiscard]] const std::vector<Lease>& leases() const { return leases_; }
  [[nodiscard]] Index last_index() const { return journal_.size(); }
  [[nodiscard]] const Record& record(Index index) const { return journal_[index - 1]; }

  /// Their places in locks() and leases(), in order.
  [[nodiscard]] const std::vector<std::size_t>& locks_of(std::string_view owner) const;
  [[nodiscard]] const std::vector<std::size_t>& locks_with(Fence fence) const;
  [[nodiscard]] const std::vector<std::size_t>& leases_of(std::string_view owner) const;
  /// The one that lives then, or null.
  [[nodiscard]] const Lease* living_lease(std::string_view owner, Index at) const;
  /// The last one that has ended by then, or null.
  [[nodiscard]] const Lease* ended_lease(std::string_view owner, Index at) const;

  /// A command is followed, under the same index, by what it makes possible and what is due: grants
  /// to waiters, expiries, ends of cooling. So a reply with this index was decided in a state from
  /// here up to it: the record here, or before it, is the last that can be no such consequence.
  [[nodiscard]] Index first_possible(Index index) const { return first_possible_[index]; }
  /// False: the record belongs together with the next one, and nobody decided between them.
  [[nodiscard]] bool is_state(Index index) const { return is_state_[index]; }

 private:
  using Places = std::unordered_map<std::string_view, std::vector<std::size_t>>;
  void apply(const Record& record);
  void grant(const Record& record);
  void check_grant(const Record& record, const Lease& lease, bool is_fresh);
  void open(const Record& record);
  void change_ttl(const Record& record);
  void end(const Record& record);
  void end_lock(const Record& record, std::size_t lock);
  void end_lease(const Record& record, Lease& lease);
  Lease* find_living(const Record& record);
  [[nodiscard]] Nanoseconds inherits_until(const Record& record) const;
  [[nodiscard]] Asked::Request find_request(const Record& record) const;
  [[nodiscard]] const Record* next(const Record& record) const;
  [[nodiscard]] bool belongs_to_next(const Record& record) const;
  [[nodiscard]] bool can_be_consequence(Index index) const;
  void fault(const Record& record, const std::string& sentence);

  const std::vector<Record>& journal_;
  const Asked& asked_;
  const Timeline& timeline_;
  Faults& faults_;
  std::vector<Lock> locks_;
  std::vector<Lease> leases_;
  std::vector<std::size_t> held_;                          // while the journal is read
  std::unordered_map<std::uint64_t, std::size_t> living_;  // by number, while it is read
  Fence last_fence_ = 0;
  Places locks_by_owner_;
  Places leases_by_owner_;
  std::unordered_map<Fence, std::vector<std::size_t>> locks_by_fence_;
  std::vector<Index> first_possible_;
  std::vector<bool> is_state_;
};

}  // namespace locker::histories
