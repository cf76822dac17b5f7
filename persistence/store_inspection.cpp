#include "persistence/store_inspection.hpp"

#include "core/lock_table.hpp"
#include "persistence/segment_reader.hpp"
#include "persistence/snapshot_reader.hpp"
#include "persistence/store_opening.hpp"

namespace locker::persistence {
namespace {

/// Checks all snapshots but the one that recovery began with, which it read from end to end.
OpenResult<void> check_other_snapshots(FileSystem& files, const std::string& directory,
                                       const StoreFiles& found, const RecoveredStore& recovered) {
  for (const Index index : found.snapshots) {
    if (!recovered.snapshots.empty() && index == recovered.snapshots.back()) continue;
    const std::string path = in_directory(directory, snapshot_name(index));
    auto read = SnapshotReader::check(files, path, index, recovered.id);
    if (!read) return read.error();
  }
  return {};
}

OpenResult<void> check_segments(FileSystem& files, const std::string& directory,
                                const StoreFiles& found, const StoreId& id) {
  for (std::size_t at = 0; at < found.segments.size(); ++at) {
    auto segment = SegmentReader::open(files, directory, found.segments[at], id);
    if (!segment) return segment.error();
    const auto end = segment->scan([](const Frame&) {});
    if (!end) return end.error();
    const bool has_gap =
        at + 1 < found.segments.size() && found.segments[at + 1] != end->next_index;
    if (has_gap || end->tail == Tail::damaged) {
      return OpenFault{
          OpenFault::Kind::damaged,
          describe_damage(in_directory(directory, segment_name(found.segments[at])), *end)};
    }
  }
  return {};
}

}  // namespace

OpenResult<Inspected> inspect_store(
    FileSystem& files, const std::string& directory,
    const std::function<bool(Index, const core::Record&)>& on_record) {
  const auto id = read_identity(files, directory);
  if (!id) return id.error();
  const auto lock = lock_for_reading(files, directory);
  if (!lock) return lock.error();
  const auto names = files.list(directory);
  if (!names) return open_fault(names.error());
  const StoreFiles found = sort_files(*names);

  core::LockTable table;
  const auto recovered =
      recover(files, directory, found, {[&](Index index, const core::Record& record) {
                return table.try_apply(record) && on_record(index, record);
              }});
  if (!recovered) return recovered.error();
  if (auto checked = check_segments(files, directory, found, *id); !checked) {
    return checked.error();
  }
  if (auto checked = check_other_snapshots(files, directory, found, *recovered); !checked) {
    return checked.error();
  }
  return Inspected{
      recovered->summary, table.lock_count(), found.segments.size(), found.snapshots.size(), {}};
}

}  // namespace locker::persistence
