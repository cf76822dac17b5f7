#pragma once

#include <utility>
#include <vector>

#include "tests/histories/history.hpp"

namespace locker::histories {

/// What times and indexes of all replies say together. A reply with index I was decided between its
/// request's sending and its coming, when the journal had exactly I records.
class Timeline {
 public:
  explicit Timeline(const History& history);

  /// At this time the journal had so many records at least: somebody had been told.
  [[nodiscard]] Index known_at(Nanoseconds time) const;
  /// When the record with this index was decided, at the earliest: somebody asked then and was
  /// answered out of a journal without it.
  [[nodiscard]] Nanoseconds earliest(Index index) const;
  /// At the latest: somebody was told of it then. The end of all time if nobody was.
  [[nodiscard]] Nanoseconds latest(Index index) const;
  [[nodiscard]] Nanoseconds last_sent() const { return last_sent_; }

 private:
  std::vector<std::pair<Nanoseconds, Index>> known_;    // ascending in both
  std::vector<std::pair<Index, Nanoseconds>> sent_by_;  // the latest sending up to an index
  std::vector<std::pair<Index, Nanoseconds>> got_by_;   // the earliest reply from an index on
  Nanoseconds last_sent_ = 0;
};

/// Whether the reply's index says when it was decided; an error of the server itself does not.
[[nodiscard]] bool is_decision(const Operation& operation);

}  // namespace locker::histories
