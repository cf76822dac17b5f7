#pragma once

#include <cstdint>
#include <limits>
#include <optional>

#include "persistence/journal.hpp"

namespace locker::persistence {

/// Decides whether a snapshot that is due is made now, and how large it may become. Uses only the
/// numbers it is given.
///
/// 1. A snapshot is made, unless the last one was put off because it did not fit on the disk or the
///    system could not open a file at the moment. After that it is tried again when
///    - spare_bytes_min more is free than it could take then; or
///    - a file could not be opened, and the next segment has no room, so that nothing is sealed; or
///    - twice as much is sealed: there may never be more room, because of a quota, for example; or
///    - something was sealed since, and half as much is held as then, or a snapshot of everything
///      held is certain to fit, or it is expected to fit by the size of the last one, and the one
///      that did not fit was not.
/// 2. If the disk had no room for the next segment when that was tried, and has room since, the
///    snapshot gives way to the segment.
/// 3. A snapshot leaves spare_bytes_min free, counting the files that it replaces as free. One that
///    is certain to fit whatever is held need leave nothing.
/// 4. After a sealed file could not be read, no more snapshots are made: the next start must
/// examine
///    that file.
///
/// Not thread-safe.
class SnapshotPolicy {
 public:
  /// The situation when a snapshot is due.
  struct Situation {
    Index last_index = 0;             ///< Of the sealed segments.
    std::uint64_t sealed_bytes = 0;   ///< Of segments sealed since the last snapshot.
    std::uint64_t held = 0;           ///< Upper bound on locks and leases.
    std::uint64_t free_bytes = 0;     ///< Of the disk.
    bool segment_fits_again = false;  ///< The next segment, after it was tried and had no room.
    /// Of the snapshot.
    std::uint64_t expected_bytes = std::numeric_limits<std::uint64_t>::max();
    std::uint64_t replaced_bytes = 0;  ///< Of the files that are removed once it is made.
    bool segment_has_no_room = false;  ///< The next segment, when it was tried.
  };

  /// Applies rules 1 and 2.
  [[nodiscard]] bool may_try(const Situation& now) const;
  /// Applies rule 3.
  [[nodiscard]] static std::uint64_t bytes_max(const Situation& now);

  void note_made() { put_off_.reset(); }
  /// `then.free_bytes` is the space that the snapshot could have used, which is less than was free
  /// when it began if others used some meanwhile. Not `did_not_fit`: a file could not be opened.
  void note_put_off(const Situation& then, bool did_not_fit);
  void note_unreadable_file() { is_off_ = true; }

  /// Applies rule 4.
  [[nodiscard]] bool is_off() const { return is_off_; }
  [[nodiscard]] bool is_put_off() const { return put_off_.has_value(); }

 private:
  [[nodiscard]] bool may_fit(const Situation& now) const;

  std::optional<Situation> put_off_;  ///< When the last one was put off; null: it was made.
  bool did_not_fit_ = false;          ///< That one did not fit.
  bool was_misjudged_ = false;        ///< It did not fit although it was expected to.
  bool is_off_ = false;
};

}  // namespace locker::persistence
