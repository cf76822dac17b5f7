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

/// Callbacks of recovery, which passes on each record in order.
struct RecordVisitor {
  /// A record from a snapshot comes with the snapshot's index. Returns false if the record
  /// contradicts earlier ones.
  std::function<bool(Index, const core::Record&)> on_record;
  /// Discard everything: the records so far came from a snapshot that is damaged further on, and an
  /// older one follows. If empty, a snapshot is read twice, and its records are passed on only
  /// after it has been verified.
  std::function<void()> on_start_over{};
  /// Called for each record some time before on_record, if not empty.
  RecordWindow::OnComing on_coming{};
};

/// More than can be held.
inline constexpr std::uint64_t ends_unknown = std::numeric_limits<std::uint32_t>::max();

/// A segment that is complete and never written again.
struct SealedSegment {
  Index first_index = 0;
  Index last_index = 0;
  std::uint64_t bytes = 0;            ///< Of its file.
  std::uint64_t ends = ends_unknown;  ///< Records that would have ended everything held.
};
/// Returns the total size of their files.
[[nodiscard]] std::uint64_t bytes_of(std::span<const SealedSegment> segments);

/// The contents of the directory, and where the journal continues.
struct RecoveredStore {
  StoreId id{};
  Recovered summary;
  /// Ascending: the newest valid one and the one before it, which was not examined.
  std::vector<Index> snapshots;
  std::uint64_t snapshot_bytes = 0;   ///< Of the newest valid one's file, or 0.
  std::vector<SealedSegment> sealed;  ///< All sealed segments, ascending.
  /// The segment before the last, if a crash prevented its seal.
  std::optional<SegmentHeader> unsealed;
  SegmentHeader last_header;
  std::uint64_t last_bytes = 0;  ///< Size of the last segment's file.
  SegmentEnd last_end;           ///< The end of its frames; never `damaged`.
  std::vector<std::string> warnings;
};

/// Reads the newest valid snapshot and every record after it, from the disk and not from the page
/// cache, and verifies that nothing is missing in between. Changes nothing. If the newest snapshot
/// is damaged or unreadable, it is skipped with a warning, provided that the one before it and its
/// segments are there.
[[nodiscard]] OpenResult<RecoveredStore> recover(FileSystem& files, const std::string& directory,
                                                 const StoreFiles& found,
                                                 const RecordVisitor& visitor);

/// Returns the fault of a store that lacks the records before the segment that begins at `to`.
[[nodiscard]] OpenFault missing_records(const std::string& directory, Index from, Index to);

/// Reads the store's identity from its STORE file.
[[nodiscard]] OpenResult<StoreId> read_identity(FileSystem& files, const std::string& directory);

}  // namespace locker::persistence
