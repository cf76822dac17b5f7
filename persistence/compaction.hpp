#pragma once

#include <limits>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "persistence/pace.hpp"
#include "persistence/recovery.hpp"

namespace locker::persistence {

/// What a new snapshot is made of.
struct CompactionInput {
  StoreId store{};
  std::optional<Index> snapshot;        ///< None: the segments begin with the first record.
  std::vector<SealedSegment> segments;  ///< Everything sealed behind it, without a gap; not empty.
  std::uint64_t salt = 0;
  /// A larger snapshot is not made: disk_full.
  std::uint64_t bytes_max = std::numeric_limits<std::uint64_t>::max();
};

/// Why no snapshot was made.
struct CompactionFault : OpenFault {
  CompactionFault(OpenFault fault = {})
      : OpenFault(std::move(fault)), may_pass(is_short_of_descriptors(code)) {}
  /// Of Kind::io: a file could not be opened, for want of a descriptor, say. Nothing is wrong with
  /// it.
  bool may_pass;
  /// Because the one to be read is damaged, or the disk does not give it back. No segment is.
  bool snapshot_is_bad = false;
};

/// Merges a snapshot with the sealed segments behind it into the next, and publishes it.
/// Reads files only, so the locks that are held meanwhile are not touched. Both are in order of
/// lock id, so one pass writes the result; memory is in proportion to what ended in the segments.
/// Returns the snapshot's size, or 0 when it was given up first; a part of it may be left then,
/// under a name of its own. Blocks for long: for a thread of its own.
[[nodiscard]] boost::system::result<std::uint64_t, CompactionFault> compact(
    FileSystem& files, const std::string& directory, const CompactionInput& input, Pace pace);

}  // namespace locker::persistence
