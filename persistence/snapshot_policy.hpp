#pragma once

#include <cstdint>
#include <limits>
#include <optional>

#include "persistence/journal.hpp"

namespace locker::persistence {

/// Whether a snapshot that is due is made now, and how large it may get. Decides by numbers alone.
///
/// 1. It is made, unless the last one was put off: it did not fit on the disk, or the system could
///    not open a file for the moment. Then it is tried again when
///    - spare_bytes_min more is free than it could take; or
///    - a file could not be opened, and the next segment has no room, so nothing is sealed; or
///    - twice as much is sealed: there may never be more room, where a quota is in the way, say; or
///    - something was sealed since, and half as much is held as then, or a snapshot of all that is
///      held is sure to fit, or it is expected to fit by what the last one took, and the one that
///      did not fit was not.
/// 2. Where the disk had no room for the next segment and has it since that was tried, the snapshot
///    gives way to the segment.
/// 3. What it leaves free, with what it replaces, is spare_bytes_min; nothing need be left by one
///    of all that is held that is sure to fit.
/// 4. After a sealed file that does not read none is made any more: the next start has to see it.
///
/// One thread at a time.
class SnapshotPolicy {
 public:
  /// What there is when one is due.
  struct Situation {
    Index last_index = 0;             ///< Of what is sealed.
    std::uint64_t sealed_bytes = 0;   ///< Of segments since the last snapshot.
    std::uint64_t held = 0;           ///< Locks and leases, at most.
    std::uint64_t free_bytes = 0;     ///< Of the disk.
    bool segment_fits_again = false;  ///< The next one, since it was tried and had no room.
    /// Of the snapshot.
    std::uint64_t expected_bytes = std::numeric_limits<std::uint64_t>::max();
    std::uint64_t replaced_bytes = 0;  ///< Of the files that go once it is made.
    bool segment_has_no_room = false;  ///< The next one, when it was tried.
  };

  /// By rules 1 and 2.
  [[nodiscard]] bool may_try(const Situation& now) const;
  /// By rule 3.
  [[nodiscard]] static std::uint64_t bytes_max(const Situation& now);

  void note_made() { put_off_.reset(); }
  /// `then.free_bytes` is what it could take, which is less than there was when others came
  /// meanwhile. Not `did_not_fit`: a file could not be opened.
  void note_put_off(const Situation& then, bool did_not_fit);
  void note_unreadable_file() { is_off_ = true; }

  /// By rule 4.
  [[nodiscard]] bool is_off() const { return is_off_; }
  [[nodiscard]] bool is_put_off() const { return put_off_.has_value(); }

 private:
  [[nodiscard]] bool may_fit(const Situation& now) const;

  std::optional<Situation> put_off_;  ///< When the last one was; null: it was made.
  bool did_not_fit_ = false;          ///< That one.
  bool was_misjudged_ = false;        ///< It did not fit, and was expected to.
  bool is_off_ = false;
};

}  // namespace locker::persistence
