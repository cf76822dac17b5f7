// Why this is correct while a server is running. The backup copies the newest snapshot (the one
// before, if that is damaged) and the segments after it. Snapshots and sealed segments never
// change; they can only be removed, when two newer snapshots cover them, and then the copy starts
// over. The last segment changes: frames are appended, one at a time. Its copy ends with the last
// frame that was complete when it was read, and everything acknowledged earlier was complete
// earlier. Segments begun after the listing are left out: nothing in them was acknowledged before
// it.
#include "persistence/store_backup.hpp"

#include <algorithm>
#include <optional>
#include <string_view>
#include <utility>
#include <vector>

#include "persistence/aligned_bytes.hpp"
#include "persistence/segment_reader.hpp"
#include "persistence/snapshot_reader.hpp"
#include "persistence/store_opening.hpp"

namespace locker::persistence {
namespace {

using boost::system::errc::errc_t;

/// How often a copy that was overtaken by a compaction starts over. Each compaction writes as much
/// as it removes, so a copy that is overtaken this often is on a disk that is too slow for it.
constexpr int tries_max = 20;
constexpr std::size_t copied_at_once = std::size_t{1} << 20U;

class Backup {
 public:
  Backup(FileSystem& files, const std::string& source, const std::string& destination)
      : files_(files), source_(source), destination_(destination) {}

  OpenResult<Inspected> run() {
    const auto id = read_identity(files_, source_);
    if (!id) return id.error();
    if (auto made = make_destination(); !made) return made.error();
    auto inspected = copy_whole(*id);
    if (inspected || !may_be_damage(inspected.error()) || !newest_) return inspected;
    // As recovery does: the snapshot before the newest one, and the journal after it.
    passed_over_ = newest_;
    auto older = copy_whole(*id);
    if (!older) return inspected;
    older->warnings.push_back(
        describe_passed_over(*id, *passed_over_) +
        " The copy was made without it, from the journal that is kept for this, and nothing is "
        "missing; the next snapshot that lockerd makes replaces it.");
    return older;
  }

 private:
  static bool may_be_damage(const OpenFault& fault) {
    return fault.kind == OpenFault::Kind::damaged || fault.kind == OpenFault::Kind::unreadable;
  }

  /// Says what is wrong with the snapshot itself: the fault at hand concerns a copy that was
  /// removed.
  std::string describe_passed_over(const StoreId& id, Index index) {
    const std::string path = in_directory(source_, snapshot_name(index));
    const auto read = SnapshotReader::check(files_, path, index, id);
    if (!read && may_be_damage(read.error())) return read.error().message;
    return path + " could not be read, or its copy was not intact, and can be read now.";
  }

  OpenResult<Inspected> copy_whole(const StoreId& id) {
    auto lock = lock_store(files_, destination_);
    if (!lock) return lock.error();
    auto copied = copy(id);
    if (copied) copied = publish();
    lock->reset();
    if (!copied) {
      remove_copied();
      return copied.error();
    }
    auto inspected = inspect_store(files_, destination_, [](Index, const auto&) { return true; });
    if (!inspected) {
      OpenFault fault = inspected.error();
      fault.message =
          "the copy of " + source_ + " is not intact, and was removed: " + fault.message;
      remove_copied();
      return fault;
    }
    return inspected;
  }

  OpenResult<void> make_destination() {
    const auto names = files_.list(destination_);
    if (!names && names.error().code == errc_t::no_such_file_or_directory) {
      auto made = files_.make_directory(destination_);
      return made ? OpenResult<void>{} : open_fault(made.error());
    }
    if (!names) return open_fault(names.error());
    const bool is_empty = std::all_of(names->begin(), names->end(), [](const std::string& name) {
      return name == lock_name;  // left by an earlier backup that failed
    });
    if (is_empty) return {};
    return OpenFault{OpenFault::Kind::in_use,
                     destination_ + " is not empty; name a directory that does not exist yet."};
  }

  OpenResult<void> copy(const StoreId& id) {
    for (int tries = 0; tries < tries_max; ++tries) {
      const auto copied = copy_once(id);
      if (!copied) return copied.error();
      if (*copied) return {};
      remove_copied();
    }
    return OpenFault{OpenFault::Kind::io,
                     "the server removed files of " + source_ + " faster than they were copied, " +
                         std::to_string(tries_max) +
                         " times; try again when it is less busy, or copy to a faster disk."};
  }

  /// Returns false if a file was removed, or appears to have been.
  OpenResult<bool> copy_once(const StoreId& id) {
    const auto names = files_.list(source_);
    if (!names) return open_fault(names.error());
    StoreFiles found = sort_files(*names);
    if (passed_over_) {
      std::erase(found.snapshots, *passed_over_);
    } else if (!found.snapshots.empty()) {
      newest_ = found.snapshots.back();
    }
    if (found.segments.empty()) {
      return OpenFault{OpenFault::Kind::damaged,
                       source_ +
                           " has no journal segment left (journal-*.segment); restore it "
                           "from a backup."};
    }
    Index first_needed = 1;
    if (!found.snapshots.empty()) {
      const Index snapshot = found.snapshots.back();
      auto copied = copy_file(snapshot_name(snapshot));
      if (!copied || !*copied) return copied;
      first_needed = snapshot + 1;
    }
    // From the last segment that begins at or before the first record needed.
    auto at = std::upper_bound(found.segments.begin(), found.segments.end(), first_needed);
    if (at == found.segments.begin()) {
      // A listing taken while a server works may miss a new file and show the removal that followed
      // from it. The next listing settles that; the same result twice is damage.
      if (found.segments == seen_.segments && found.snapshots == seen_.snapshots) {
        return missing_records(source_, first_needed, found.segments.front());
      }
      seen_ = std::move(found);
      return false;
    }
    for (--at; at + 1 != found.segments.end(); ++at) {
      auto copied = copy_file(segment_name(*at));
      if (!copied || !*copied) return copied;
    }
    return copy_last_segment(*at, id);
  }

  /// Returns false if the file was removed.
  OpenResult<bool> copy_file(const std::string& name) {
    auto from = files_.open(in_directory(source_, name), Access::read);
    if (!from) return vanished_or(from.error());
    auto to = create(name);
    if (!to) return open_fault(to.error());
    AlignedBytes bytes{copied_at_once};
    for (std::uint64_t offset = 0;; offset += copied_at_once) {
      const auto count = (*from)->read_at(offset, bytes.span());
      if (!count) return open_fault(count.error());
      if (auto written = (*to)->write_at(offset, bytes.view().substr(0, *count)); !written) {
        return open_fault(written.error());
      }
      if (*count < copied_at_once) break;
    }
    if (auto synced = (*to)->sync(); !synced) return open_fault(synced.error());
    return true;
  }

  /// Returns false if the file was removed.
  OpenResult<bool> copy_last_segment(Index first_index, const StoreId& id) {
    const std::string path = in_directory(source_, segment_name(first_index));
    auto file = read_whole(files_, path);
    if (!file) return vanished_or(file.error());
    AlignedBytes& bytes = file->bytes;
    const auto header = check_segment(bytes.view(), file->size, path, first_index, id);
    if (!header) return header.error();
    if (is_sealed(bytes.view())) {  // in the meantime, or the segment after it is missing
      const auto names = files_.list(source_);
      if (!names) return open_fault(names.error());
      const std::vector<Index> segments = sort_files(*names).segments;
      if (segments.empty() || segments.back() <= first_index) {
        return OpenFault{OpenFault::Kind::damaged,
                         path +
                             " says that another segment follows, but there is none: that segment "
                             "and its records are missing. Restore the store from a backup."};
      }
    }
    const SegmentEnd end = scan_segment(bytes.view(), *header, [](const Frame&) {});
    if (end.tail == Tail::damaged) {
      // Either a frame was being written while this was read, and is complete by now, or it is
      // damaged for good.
      auto again = SegmentReader::open(files_, source_, first_index, id);
      if (!again) return again.error();
      const auto later = again->scan([](const Frame&) {});
      if (!later) return later.error();
      if (later->offset <= end.offset) {
        return OpenFault{OpenFault::Kind::damaged, describe_damage(path, *later)};
      }
    }
    const auto span = bytes.span();
    std::fill(span.begin() + static_cast<std::ptrdiff_t>(end.offset), span.end(), '\0');
    // It may have been sealed in the meantime; in the copy it is the last segment.
    std::fill(span.begin() + seal_offset, span.begin() + segment_header_bytes, '\0');
    auto to = create(segment_name(first_index));
    if (!to) return open_fault(to.error());
    if (auto written = (*to)->write_at(0, bytes.view()); !written) {
      return open_fault(written.error());
    }
    if (auto synced = (*to)->sync(); !synced) return open_fault(synced.error());
    return true;
  }

  /// Writes STORE last: only with it is the copy a store.
  OpenResult<void> publish() {
    const auto text = read_whole(files_, in_directory(source_, identity_name));
    if (!text) return open_fault(text.error());
    const std::string temporary = std::string{identity_name} + ".tmp";
    auto file = create(temporary);
    if (!file) return open_fault(file.error());
    const std::string_view identity = text->bytes.view().substr(0, text->size);
    if (auto written = (*file)->write_at(0, identity); !written) {
      return open_fault(written.error());
    }
    if (auto synced = (*file)->sync(); !synced) return open_fault(synced.error());
    if (auto synced = files_.sync_directory(destination_); !synced) {
      return open_fault(synced.error());
    }
    const std::string path = in_directory(destination_, identity_name);
    if (auto renamed = files_.rename(in_directory(destination_, temporary), path); !renamed) {
      return open_fault(renamed.error());
    }
    copied_.back() = identity_name;
    if (auto synced = files_.sync_directory(destination_); !synced) {
      return open_fault(synced.error());
    }
    if (auto synced = files_.sync_directory(destination_ + "/.."); !synced) {
      return open_fault(synced.error());
    }
    return {};
  }

  IoResult<std::unique_ptr<File>> create(const std::string& name) {
    auto file = files_.open(in_directory(destination_, name), Access::create);
    if (file) copied_.push_back(name);
    return file;
  }

  void remove_copied() {
    for (auto name = copied_.rbegin(); name != copied_.rend(); ++name) {
      const auto removed = files_.remove(in_directory(destination_, *name));
      static_cast<void>(removed);  // the earlier fault is reported
    }
    copied_.clear();
  }

  static OpenResult<bool> vanished_or(const IoError& error) {
    if (error.code == errc_t::no_such_file_or_directory) return false;
    return open_fault(error);
  }

  FileSystem& files_;
  const std::string& source_;
  const std::string& destination_;
  std::vector<std::string> copied_;
  std::optional<Index> newest_;       // snapshot in the last listing
  std::optional<Index> passed_over_;  // that snapshot, if it is damaged
  StoreFiles seen_;                   // the last inconsistent listing
};

}  // namespace

OpenResult<Inspected> back_up_store(FileSystem& files, const std::string& source,
                                    const std::string& destination) {
  return Backup{files, source, destination}.run();
}

}  // namespace locker::persistence
