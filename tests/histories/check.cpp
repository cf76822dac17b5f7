#include "tests/histories/check.hpp"

namespace locker::histories {

Faults check(const Evidence& evidence) {
  Faults faults;
  check_promises(evidence.history, faults);
  const Asked asked{evidence.history};
  const Timeline timeline{evidence.history};
  const LockModel model{evidence.journal, asked, timeline, faults};
  check_answers(evidence, asked, timeline, model, faults);
  check_times(evidence, asked, timeline, model, faults);
  check_order(evidence.history, asked, model, faults);
  check_store(evidence.store, model, faults);
  return faults;
}

}  // namespace locker::histories
