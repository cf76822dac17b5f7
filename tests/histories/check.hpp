#pragma once

#include <vector>

#include "tests/histories/asked.hpp"
#include "tests/histories/faults.hpp"
#include "tests/histories/history.hpp"
#include "tests/histories/journal.hpp"
#include "tests/histories/lock_model.hpp"
#include "tests/histories/timeline.hpp"

namespace locker::histories {

/// All that is known of a run.
struct Evidence {
  History history;
  std::vector<Record> journal;      ///< Whole: every record since the store was made.
  std::vector<ServerEvent> events;  ///< In order.
  std::vector<Record> store;  ///< What a start would read at the end: a snapshot, and records.
};

/// Everything that follows; the first broken rule hides no other one.
[[nodiscard]] Faults check(const Evidence& evidence);

/// What clients may rely on, by what they know alone: two who count on their locks do not clash,
/// fences are unique and rise, indexes rise, a refusal has somebody who can be its reason.
void check_promises(const History& history, Faults& faults);

/// Each reply against what was held at its index.
void check_answers(const Evidence& evidence, const Asked& asked, const Timeline& timeline,
                   const LockModel& model, Faults& faults);

/// Times: no lease and no wait ends early, no lease lasts for ever, nobody is granted who has left.
void check_times(const Evidence& evidence, const Asked& asked, const Timeline& timeline,
                 const LockModel& model, Faults& faults);

/// First come, first served, where the history can prove who came first.
void check_order(const History& history, const Asked& asked, const LockModel& model,
                 Faults& faults);

/// A start reads what the journal says: no snapshot lost or kept anything.
void check_store(const std::vector<Record>& store, const LockModel& model, Faults& faults);

}  // namespace locker::histories
