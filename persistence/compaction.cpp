#include "persistence/compaction.hpp"

#include <algorithm>
#include <utility>

#include "core/assert.hpp"
#include "persistence/snapshot_reader.hpp"
#include "persistence/snapshot_writer.hpp"

namespace locker::persistence {
namespace {

/// Calls `on_record` for each record of a sealed segment.
OpenResult<void> read_segment(FileSystem& files, const std::string& directory, const StoreId& store,
                              const SealedSegment& segment,
                              const std::function<void(const core::Record&)>& on_record) {
  const auto image = load_segment(files, directory, segment.first_index, store);
  if (!image) return image.error();
  const char* fault = nullptr;
  const SegmentEnd end = scan_segment(image->bytes.view(), image->header, [&](const Frame& frame) {
    core::RecordReader records{frame.records};
    core::Record record;
    while (records.next(record)) on_record(record);
    if (records.fault() != nullptr) fault = records.fault();
  });
  const std::string path = in_directory(directory, segment_name(segment.first_index));
  if (fault != nullptr) {
    return OpenFault{OpenFault::Kind::damaged, path + ": " + fault + "."};
  }
  if (end.next_index != segment.last_index + 1) {
    return OpenFault{OpenFault::Kind::damaged, describe_damage(path, end)};
  }
  return {};
}

/// The ids that ended, and the highest fence granted.
struct Changes {
  std::vector<core::LockId> ended;
  core::Fence last_fence = 0;
  [[nodiscard]] bool has_ended(core::LockId id) const {
    return std::binary_search(ended.begin(), ended.end(), id);
  }
};

OpenResult<Changes> collect_changes(FileSystem& files, const std::string& directory,
                                    const CompactionInput& input) {
  Changes changes;
  for (const SealedSegment& segment : input.segments) {
    auto read = read_segment(files, directory, input.store, segment, [&](const auto& record) {
      if (const auto* const granted = std::get_if<core::Granted>(&record)) {
        changes.last_fence = std::max(changes.last_fence, granted->id.fence);
      } else {
        changes.ended.push_back(std::get<core::Ended>(record).id);
      }
    });
    if (!read) return read.error();
  }
  std::sort(changes.ended.begin(), changes.ended.end());
  return changes;
}

}  // namespace

OpenResult<std::uint64_t> compact(FileSystem& files, const std::string& directory,
                                  const CompactionInput& input) {
  LOCKER_ASSERT(!input.segments.empty());
  auto changes = collect_changes(files, directory, input);
  if (!changes) return changes.error();
  SnapshotHeader header{input.store, input.salt, input.segments.back().last_index,
                        changes->last_fence};
  std::optional<SnapshotReader> older;
  if (input.snapshot) {
    auto opened =
        SnapshotReader::open(files, in_directory(directory, snapshot_name(*input.snapshot)),
                             *input.snapshot, input.store);
    if (!opened) return opened.error();
    older = std::move(*opened);
    header.last_fence = std::max(header.last_fence, older->header().last_fence);
  }
  auto writer = SnapshotWriter::create(files, directory, header);
  if (!writer) return open_fault(writer.error());

  IoResult<void> written;
  const auto keep = [&](const core::Granted& granted) {
    if (written && !changes->has_ended(granted.id)) written = writer->add(granted);
    return written.has_value();
  };
  if (older) {
    auto read = older->read(keep);
    if (!written) return open_fault(written.error());
    if (!read) return read.error();
  }
  for (const SealedSegment& segment : input.segments) {
    auto read = read_segment(files, directory, input.store, segment, [&](const auto& record) {
      if (const auto* const granted = std::get_if<core::Granted>(&record)) keep(*granted);
    });
    if (!written) return open_fault(written.error());
    if (!read) return read.error();
  }
  if (auto published = writer->publish(); !published) return published.error();
  return writer->bytes();
}

}  // namespace locker::persistence
