#include "tests/histories/timeline.hpp"

#include <algorithm>
#include <limits>

namespace locker::histories {

bool is_decision(const Operation& operation) {
  return operation.is_answered() && operation.status < 500 && operation.status != 400;
}

Timeline::Timeline(const History& history) {
  std::vector<const Operation*> decided;
  for (const Operation& operation : history.operations) {
    if (!is_decision(operation)) continue;
    decided.push_back(&operation);
    last_sent_ = std::max(last_sent_, operation.sent);
  }
  std::sort(decided.begin(), decided.end(),
            [](const auto* a, const auto* b) { return a->got < b->got; });
  Index known = 0;
  for (const Operation* operation : decided) {
    known = std::max(known, operation->index);
    known_.emplace_back(operation->got, known);
  }
  std::sort(decided.begin(), decided.end(),
            [](const auto* a, const auto* b) { return a->index < b->index; });
  Nanoseconds sent = 0;
  for (const Operation* operation : decided) {
    sent = std::max(sent, operation->sent);
    sent_by_.emplace_back(operation->index, sent);
  }
  std::reverse(decided.begin(), decided.end());
  Nanoseconds got = std::numeric_limits<Nanoseconds>::max();
  for (const Operation* operation : decided) {
    got = std::min(got, operation->got);
    got_by_.emplace_back(operation->index, got);
  }
  std::reverse(got_by_.begin(), got_by_.end());
}

Index Timeline::known_at(Nanoseconds time) const {
  const auto behind = std::lower_bound(known_.begin(), known_.end(), std::pair{time, Index{0}});
  return behind == known_.begin() ? 0 : std::prev(behind)->second;
}

Nanoseconds Timeline::earliest(Index index) const {
  const auto behind =
      std::lower_bound(sent_by_.begin(), sent_by_.end(), std::pair{index, Nanoseconds{0}});
  return behind == sent_by_.begin() ? 0 : std::prev(behind)->second;
}

Nanoseconds Timeline::latest(Index index) const {
  const auto at =
      std::lower_bound(got_by_.begin(), got_by_.end(), std::pair{index, Nanoseconds{0}});
  return at == got_by_.end() ? std::numeric_limits<Nanoseconds>::max() : at->second;
}

}  // namespace locker::histories
