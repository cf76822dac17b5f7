#pragma once

#include <cstdint>
#include <functional>
#include <limits>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "core/record.hpp"
#include "persistence/journal.hpp"
#include "persistence/record_window.hpp"
#include "persistence/segment_scan.hpp"
#include "persistence/store_files.hpp"

namespace locker::persistence {

/// Told of each record in order.
struct RecordVisitor {
  /// A grant out of a snapshot comes with the snapshot's index. False: the record contradicts the
  /// ones before it.
  std::function<bool(Index, const core::Record&)> on_record;
  /// Forget all: what was told came out of a snapshot that is damaged further on, and an older one
  /// follows. If empty, a snapshot is read twice, and told of only when it is known to be whole.
  std::function<void()> on_start_over{};
  /// Told of records some time before, if not empty.
  RecordWindow::OnComing on_coming{};
};

/// More than can be held.
inline constexpr std::uint64_t ends_unknown = std::numeric_limits<std::uint32_t>::max();

/// A segment that is full and never written again.
struct SealedSegment {
  Index first_index = 0;
  Index last_index = 0;
  std::uint64_t bytes = 0;            ///< Of its file.
  std::uint64_t ends = ends_unknown;  ///< As many records would have ended all that was held.
};
/// Of all their files.
[[nodiscard]] std::uint64_t bytes_of(std::span<const SealedSegment> segments);

/// What the directory holds, and where the journal goes on.
struct RecoveredStore {
  StoreId id{};
  Recovered summary;
  /// Ascending: the newest whole one, and the one before it, which was not looked at.
  std::vector<Index> snapshots;
  std::uint64_t snapshot_bytes = 0;   ///< Of the newest whole one's file, or 0.
  std::vector<SealedSegment> sealed;  ///< Every sealed segment there is, ascending.
  /// The segment before the last, when a crash came before its seal.
  std::optional<SegmentHeader> unsealed;
  SegmentHeader last_header;
  std::uint64_t last_bytes = 0;  ///< Size of the last segment's file.
  SegmentEnd last_end;           ///< Where its frames end; never `damaged`.
  std::vector<std::string> warnings;
};

/// Reads the newest whole snapshot and every record behind it, from the disk and not from the page
/// cache, and proves on the way that nothing is missing between. Changes nothing. A newest snapshot
/// that is damaged, or does not read, is passed over with a warning while the one before it and its
/// segments are there.
[[nodiscard]] OpenResult<RecoveredStore> recover(FileSystem& files, const std::string& directory,
                                                 const StoreFiles& found,
                                                 const RecordVisitor& visitor);

/// For a store where the files end with no record before those of the segment that begins at `to`.
[[nodiscard]] OpenFault missing_records(const std::string& directory, Index from, Index to);

/// The store's identity, from its STORE file.
[[nodiscard]] OpenResult<StoreId> read_identity(FileSystem& files, const std::string& directory);

}  // namespace locker::persistence
