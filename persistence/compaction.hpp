#pragma once

#include <limits>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "persistence/pace.hpp"
#include "persistence/recovery.hpp"

namespace locker::persistence {

/// The inputs of a new snapshot.
struct CompactionInput {
  StoreId store{};
  std::optional<Index> snapshot;        ///< None: the segments begin with the first record.
  std::vector<SealedSegment> segments;  ///< All sealed after it, without a gap; not empty.
  std::uint64_t salt = 0;
  /// A snapshot that would be larger is not made: disk_full.
  std::uint64_t bytes_max = std::numeric_limits<std::uint64_t>::max();
};

/// The reason why no snapshot was made.
struct CompactionFault : OpenFault {
  CompactionFault(OpenFault fault = {})
      : OpenFault(std::move(fault)), may_pass(is_short_of_descriptors(code)) {}
  /// Set for Kind::io: a file could not be opened, for lack of file descriptors, for example, but
  /// nothing is wrong with it.
  bool may_pass;
  /// The input snapshot is damaged or unreadable; the segments are not.
  bool snapshot_is_bad = false;
};

/// Merges a snapshot with the sealed segments after it into the next snapshot, and publishes that.
/// Reads only files, so it does not touch the lock table. Snapshot and segments are in order of
/// lock id, so one pass writes the result; memory use is proportional to what ended in the
/// segments. Returns the snapshot's size, or 0 if stopped before it was complete, which may leave a
/// temporary file behind. Blocks for a long time: run it on a thread of its own.
[[nodiscard]] boost::system::result<std::uint64_t, CompactionFault> compact(
    FileSystem& files, const std::string& directory, const CompactionInput& input, Pace pace);

}  // namespace locker::persistence
