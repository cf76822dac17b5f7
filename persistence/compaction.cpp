#include "persistence/compaction.hpp"

#include <algorithm>
#include <map>
#include <type_traits>
#include <utility>

#include "core/assert.hpp"
#include "persistence/segment_reader.hpp"
#include "persistence/snapshot_reader.hpp"
#include "persistence/snapshot_writer.hpp"

namespace locker::persistence {
namespace {

template <typename T>
using Compacted = boost::system::result<T, CompactionFault>;

/// Classifies a fault of an input file. A file that this process read or sealed, and that is
/// missing, is as unusable as one that cannot be read; everything in it is in memory.
CompactionFault input_fault(OpenFault fault) {
  CompactionFault told{std::move(fault)};
  if (told.kind != OpenFault::Kind::io) return told;
  using boost::system::errc::errc_t;
  const bool is_lost =
      told.code == errc_t::no_such_file_or_directory || told.code == errc_t::io_error;
  if (is_lost) told.kind = OpenFault::Kind::unreadable;
  told.may_pass = !is_lost;
  return told;
}

/// Calls `on_record` for each record of a sealed segment. `previous` is the checksum of the last
/// frame in the previous segment, if one was read; it is set to that of the last frame in this one.
Compacted<void> read_segment(FileSystem& files, const std::string& directory, const StoreId& store,
                             const SealedSegment& segment, std::optional<std::uint32_t>& previous,
                             const std::function<void(const core::Record&)>& on_record) {
  auto reader = SegmentReader::open(files, directory, segment.first_index, store);
  if (!reader) return input_fault(reader.error());
  const std::string path = in_directory(directory, segment_name(segment.first_index));
  // Segments that only the older snapshot needs have not been read since the start.
  if (previous && reader->header().previous != *previous) {
    return OpenFault{OpenFault::Kind::damaged, path + " does not continue the segment before it."};
  }
  const char* fault = nullptr;
  const auto end = reader->scan([&](const Frame& frame) {
    core::RecordReader records{frame.records};
    core::Record record;
    while (records.next(record)) on_record(record);
    if (records.fault() != nullptr) fault = records.fault();
  });
  if (!end) return CompactionFault{end.error()};
  if (fault != nullptr) {
    return OpenFault{OpenFault::Kind::damaged, path + ": " + fault + "."};
  }
  if (end->next_index != segment.last_index + 1) {
    return OpenFault{OpenFault::Kind::damaged, describe_damage(path, *end)};
  }
  previous = end->checksum;
  return {};
}

/// What the segments say about locks and leases opened in them or before.
struct Changes {
  std::vector<core::LockId> ended;
  std::vector<core::LockId> cooling;
  std::map<core::Token, core::Milliseconds> ttls;  // the last TTL of each lease that changed it
  core::Fence last_fence = 0;

  /// Once a token's lease has ended, the token can open another; each opening states its own TTL.
  void note_ttl(const core::Record& record) {
    if (const auto* const changed = std::get_if<core::TtlChanged>(&record)) {
      ttls[changed->token] = changed->ttl;
    } else if (const auto* const granted = std::get_if<core::Granted>(&record)) {
      if (const auto ttl = ttls.find(granted->token); ttl != ttls.end()) ttl->second = granted->ttl;
    } else if (const auto* const opened = std::get_if<core::LeaseOpened>(&record)) {
      if (const auto ttl = ttls.find(opened->token); ttl != ttls.end()) ttl->second = opened->ttl;
    }
  }

  /// Returns the opening as it is after the changes, or null if it has ended.
  [[nodiscard]] std::optional<core::Record> apply_to(const core::Record& opening) const {
    return std::visit([this](const auto& kind) { return apply_to(kind); }, opening);
  }

 private:
  static bool has(const std::vector<core::LockId>& ids, core::LockId id) {
    return std::binary_search(ids.begin(), ids.end(), id);
  }
  template <typename Opening>
  [[nodiscard]] std::optional<core::Record> apply_to(Opening opening) const {
    if constexpr (std::is_same_v<Opening, core::Granted> ||
                  std::is_same_v<Opening, core::LeaseOpened>) {
      if (has(ended, opening.id)) return std::nullopt;
      if (const auto ttl = ttls.find(opening.token); ttl != ttls.end()) opening.ttl = ttl->second;
      if constexpr (std::is_same_v<Opening, core::Granted>) {
        opening.is_cooling = opening.is_cooling || has(cooling, opening.id);
      }
      return opening;
    } else {
      return std::nullopt;
    }
  }
};

/// Returns the changes; incomplete if stopped.
Compacted<Changes> collect_changes(FileSystem& files, const std::string& directory,
                                   const CompactionInput& input, Pace& pace) {
  Changes changes;
  std::optional<std::uint32_t> previous;
  for (const SealedSegment& segment : input.segments) {
    if (pace.is_stopped()) break;
    auto read =
        read_segment(files, directory, input.store, segment, previous, [&](const auto& record) {
          pace.goes_on();
          changes.last_fence = std::max(changes.last_fence, core::fence_given_by(record));
          changes.note_ttl(record);
          if (const auto* const ended = std::get_if<core::Ended>(&record)) {
            changes.ended.push_back(ended->id);
          } else if (const auto* const cooling = std::get_if<core::Cooling>(&record)) {
            changes.cooling.push_back(cooling->id);
          }
        });
    if (!read) return read.error();
  }
  std::sort(changes.ended.begin(), changes.ended.end());
  std::sort(changes.cooling.begin(), changes.cooling.end());
  return changes;
}

CompactionFault snapshot_fault(OpenFault fault) {
  CompactionFault told = input_fault(std::move(fault));
  told.snapshot_is_bad =
      told.kind == OpenFault::Kind::damaged || told.kind == OpenFault::Kind::unreadable;
  return told;
}

}  // namespace

Compacted<std::uint64_t> compact(FileSystem& files, const std::string& directory,
                                 const CompactionInput& input, Pace pace) {
  LOCKER_ASSERT(!input.segments.empty());
  auto changes = collect_changes(files, directory, input, pace);
  if (!changes) return changes.error();
  if (pace.is_stopped()) return 0U;
  SnapshotHeader header{input.store, input.salt, input.segments.back().last_index,
                        changes->last_fence};
  std::optional<SnapshotReader> older;
  if (input.snapshot) {
    auto opened =
        SnapshotReader::open(files, in_directory(directory, snapshot_name(*input.snapshot)),
                             *input.snapshot, input.store);
    if (!opened) return snapshot_fault(opened.error());
    older = std::move(*opened);
    header.last_fence = std::max(header.last_fence, older->header().last_fence);
  }
  auto writer = SnapshotWriter::create(files, directory, header, input.bytes_max);
  if (!writer) return open_fault(writer.error());

  IoResult<void> written;
  const auto keep = [&](const core::Record& record) {
    if (!written || !pace.goes_on()) return false;
    if (const auto opening = changes->apply_to(record)) written = writer->add(*opening);
    return written.has_value();
  };
  if (older) {
    auto read = older->read(keep);
    if (!written) return open_fault(written.error());
    if (pace.is_stopped()) return 0U;  // a snapshot that was not read to its end looks damaged
    if (!read) return snapshot_fault(read.error());
  }
  std::optional<std::uint32_t> previous;
  for (const SealedSegment& segment : input.segments) {
    auto read = read_segment(files, directory, input.store, segment, previous, keep);
    if (!written) return open_fault(written.error());
    if (pace.is_stopped()) return 0U;
    if (!read) return read.error();
  }
  const auto published = writer->publish(pace);
  if (!published) return published.error();
  return *published ? writer->bytes() : 0U;
}

}  // namespace locker::persistence
