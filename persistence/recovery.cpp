#include "persistence/recovery.hpp"

#include <algorithm>
#include <iterator>
#include <utility>

#include "persistence/segment_reader.hpp"
#include "persistence/snapshot_reader.hpp"

namespace locker::persistence {
namespace {

constexpr const char* restore = "Restore the store from a backup.";

OpenFault damaged(std::string message) { return {OpenFault::Kind::damaged, std::move(message)}; }

class Recovery {
 public:
  Recovery(FileSystem& files, const std::string& directory, const StoreFiles& found,
           const RecordVisitor& visitor)
      : files_(files), directory_(directory), found_(found), visitor_(visitor) {}

  OpenResult<RecoveredStore> run() {
    const auto id = read_identity(files_, directory_);
    if (!id) return id.error();
    store_.id = *id;
    if (found_.segments.empty()) {
      return damaged(directory_ +
                     " has no journal segment left (journal-*.segment); restore the "
                     "store from a backup.");
    }
    if (auto read = read_snapshot(); !read) return read.error();
    if (auto replayed = replay_segments(); !replayed) {
      OpenFault fault = replayed.error();
      // If a snapshot was skipped, the records may be missing because of it.
      for (const std::string& warning : store_.warnings) fault.message += " Before: " + warning;
      return fault;
    }
    return std::move(store_);
  }

 private:
  OpenResult<void> read_snapshot() {
    for (auto index = found_.snapshots.rbegin(); index != found_.snapshots.rend(); ++index) {
      const auto taken = take_snapshot(*index);
      if (taken) {
        const auto older = std::next(index);
        if (older != found_.snapshots.rend()) store_.snapshots.push_back(*older);
        store_.snapshots.push_back(*index);
        return {};
      }
      const OpenFault::Kind kind = taken.error().kind;
      if (kind != OpenFault::Kind::damaged && kind != OpenFault::Kind::unreadable) {
        return taken.error();
      }
      store_.warnings.push_back(taken.error().message +
                                " An older state and the journal after it are read instead.");
    }
    return {};
  }

  OpenResult<void> take_snapshot(Index index) {
    auto reader = SnapshotReader::open(files_, in_directory(directory_, snapshot_name(index)),
                                       index, store_.id);
    if (!reader) return reader.error();
    const auto bytes = reader->file_bytes();
    if (!bytes) return open_fault(bytes.error());
    if (!visitor_.on_start_over) {
      auto verified = reader->read([](const core::Record&) { return true; });
      if (!verified) return verified.error();
    }
    auto read = reader->read(
        [&](const core::Record& opening) { return visitor_.on_record(index, opening); },
        visitor_.on_coming);
    if (!read) {
      if (visitor_.on_start_over) visitor_.on_start_over();
      return read.error();
    }
    store_.snapshot_bytes = *bytes;
    store_.summary.last_index = reader->header().index;
    store_.summary.last_fence = reader->header().last_fence;
    return {};
  }

  /// Replays the records of a frame after last_index.
  OpenResult<void> replay_frame(const Frame& frame, const std::string& path) {
    RecordWindow records{frame.records, visitor_.on_coming};
    Index index = frame.first_index;
    const auto fault = [&](const std::string& what) {
      return damaged(path + ", record with index " + std::to_string(index) + ": " + what + ".");
    };
    for (; const core::Record* const record = records.next(); ++index) {
      if (index <= store_.summary.last_index) continue;
      if (!visitor_.on_record(index, *record)) return fault("it contradicts the records before it");
      store_.summary.last_index = index;
      store_.summary.last_fence =
          std::max(store_.summary.last_fence, core::fence_given_by(*record));
    }
    if (records.fault() != nullptr) {
      OpenFault unknown = fault(records.fault());
      unknown.kind = OpenFault::Kind::newer_format;  // its checksum was right
      return unknown;
    }
    if (index != frame.first_index + frame.count) {
      return fault("its frame does not have as many records as it states");
    }
    return {};
  }

  OpenResult<void> replay_segments() {
    // The last segment that begins at or before the first record needed.
    auto first = std::upper_bound(found_.segments.begin(), found_.segments.end(),
                                  store_.summary.last_index + 1);
    if (first == found_.segments.begin()) return missing(store_.summary.last_index + 1, *first);
    --first;
    if (auto listed = list_older(first); !listed) return listed.error();
    for (auto at = first; at != found_.segments.end(); ++at) {
      if (at != first && *at != store_.last_end.next_index) {
        return missing(store_.last_end.next_index, *at);
      }
      if (auto replayed = replay_segment(*at, at == first, at + 1 == found_.segments.end());
          !replayed) {
        return replayed.error();
      }
    }
    return {};
  }

  OpenFault missing(Index from, Index to) const { return missing_records(directory_, from, to); }

  /// Lists the segments that the newest snapshot covers, which are kept for the one before it.
  OpenResult<void> list_older(std::vector<Index>::const_iterator end) {
    for (auto at = found_.segments.begin(); at != end; ++at) {
      auto file = files_.open(in_directory(directory_, segment_name(*at)), Access::read);
      if (!file) return open_fault(file.error());
      const auto size = (*file)->size();
      if (!size) return open_fault(size.error());
      store_.sealed.push_back({*at, *(at + 1) - 1, *size});
    }
    return {};
  }

  OpenResult<void> replay_segment(Index first_index, bool is_first, bool is_last) {
    const std::string path = in_directory(directory_, segment_name(first_index));
    auto segment = SegmentReader::open(files_, directory_, first_index, store_.id);
    if (!segment) return segment.error();
    if (!is_first && segment->header().previous != store_.last_end.checksum) {
      return damaged(path + " does not continue the segment before it. " + restore);
    }
    OpenResult<void> replayed;
    const auto scanned = segment->scan([&](const Frame& frame) {
      if (replayed) replayed = replay_frame(frame, path);
    });
    if (!replayed) return replayed.error();
    if (!scanned) return scanned.error();
    const SegmentEnd& end = *scanned;
    if (end.tail == Tail::damaged) return damaged(describe_damage(path, end));
    auto noted = is_last ? note_last(*segment, end, path) : note_sealed(*segment, end, path);
    if (!noted) return noted.error();
    store_.last_end = end;
    return {};
  }

  /// Records a sealed segment. A segment is synced before the next one begins, so a truncated
  /// segment that is not the last shows as a gap in the indexes.
  OpenResult<void> note_sealed(const SegmentReader& segment, const SegmentEnd& end,
                               const std::string& path) {
    const Index first_index = segment.header().first_index;
    const Index next =
        *std::upper_bound(found_.segments.begin(), found_.segments.end(), first_index);
    if (end.next_index != next) {
      // Zeros after the last frame: the records were in a file that is missing. Otherwise what
      // follows was a frame.
      if (end.tail == Tail::clean) return missing(end.next_index, next);
      return damaged(describe_damage(path, end));
    }
    store_.sealed.push_back({first_index, end.next_index - 1, segment.size()});
    store_.unsealed.reset();
    if (!segment.is_sealed()) store_.unsealed = segment.header();
    return {};
  }

  OpenResult<void> note_last(const SegmentReader& segment, const SegmentEnd& end,
                             const std::string& path) {
    if (segment.is_sealed()) {
      return damaged("The records from index " + std::to_string(end.next_index) +
                     " on are missing: " + in_directory(directory_, segment_name(end.next_index)) +
                     " does not exist, but " + segment_name(segment.header().first_index) +
                     " says that it did. " + restore);
    }
    if (end.next_index <= store_.summary.last_index) {
      return damaged(path + " ends at index " + std::to_string(end.next_index - 1) +
                     ", before the index of the newest snapshot. " + restore);
    }
    store_.last_header = segment.header();
    store_.last_bytes = segment.size();
    store_.summary.torn_bytes = end.tail_bytes;
    return {};
  }

  FileSystem& files_;
  const std::string& directory_;
  const StoreFiles& found_;
  const RecordVisitor& visitor_;
  RecoveredStore store_;
};

}  // namespace

std::uint64_t bytes_of(std::span<const SealedSegment> segments) {
  std::uint64_t bytes = 0;
  for (const SealedSegment& segment : segments) bytes += segment.bytes;
  return bytes;
}

OpenFault missing_records(const std::string& directory, Index from, Index to) {
  return damaged("The records from index " + std::to_string(from) + " to " +
                 std::to_string(to - 1) + " are missing: no file ends with them before " +
                 in_directory(directory, segment_name(to)) + ". " + restore);
}

OpenResult<StoreId> read_identity(FileSystem& files, const std::string& directory) {
  const std::string path = in_directory(directory, identity_name);
  const auto file = read_whole(files, path);
  if (!file) {
    if (file.error().code != boost::system::errc::no_such_file_or_directory) {
      return open_fault(file.error());
    }
    return OpenFault{OpenFault::Kind::not_a_store,
                     directory + " is not a store: it has no file STORE."};
  }
  return parse_identity(file->bytes.view().substr(0, file->size), path);
}

OpenResult<RecoveredStore> recover(FileSystem& files, const std::string& directory,
                                   const StoreFiles& found, const RecordVisitor& visitor) {
  return Recovery{files, directory, found, visitor}.run();
}

}  // namespace locker::persistence
