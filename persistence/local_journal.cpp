#include "persistence/local_journal.hpp"

#include <algorithm>
#include <utility>

#include "core/assert.hpp"
#include "persistence/append_file.hpp"

namespace locker::persistence {
namespace {

/// Bypasses the page cache only with Durability::always; writes that are synced later belong in it.
std::unique_ptr<File> for_appending(std::unique_ptr<File> file, Durability durability) {
  if (durability != Durability::always) return file;
  return std::make_unique<AppendFile>(std::move(file));
}

/// The size of a record that ends a lock or a lease, or makes a lock cool, in a frame of its own.
constexpr std::uint64_t end_bytes_max = core::record_head_bytes + frame_overhead_max;

/// Returns the part of a segment that is reserved for ends of locks: an eighth while the next
/// segment is being prepared, a quarter if the disk has no room for it.
std::uint64_t reserve_of(std::uint64_t segment_bytes, bool is_full) {
  return segment_bytes / (is_full ? 4 : 8);
}

}  // namespace

OpenResult<std::unique_ptr<LocalJournal>> LocalJournal::open(FileSystem& files,
                                                             const Options& options,
                                                             const RecordVisitor& on_record,
                                                             Recovered& recovered) {
  auto opened = open_store(files, options.directory, first_segment_bytes(options.segment_bytes),
                           options.random_number, on_record);
  if (!opened) return opened.error();
  recovered = opened->recovered.summary;
  for (const std::string& warning : opened->recovered.warnings) options.on_warning(warning);
  auto file = files.open(
      in_directory(options.directory, segment_name(opened->recovered.last_header.first_index)),
      Access::write);
  if (!file) return open_fault(file.error());
  std::unique_ptr<LocalJournal> journal(
      new LocalJournal(files, options, std::move(*opened), std::move(*file)));
  // A crash may have come between renaming a snapshot and this, and there may be no room for
  // another.
  if (auto removed = journal->remove_covered(); !removed) {
    return OpenFault{OpenFault::Kind::io, removed.error().message};
  }
  // Before the first grant: the preparing thread does this only after it has prepared a segment.
  journal->look_for_room();
  if (options.background) journal->start_threads();
  return journal;
}

LocalJournal::LocalJournal(FileSystem& files, const Options& options, OpenedStore opened,
                           std::unique_ptr<File> file)
    : files_(files),
      options_(options),
      lock_(std::move(opened.lock)),
      identity_lock_(std::move(opened.identity_lock)),
      store_id_(opened.recovered.id),
      segment_(opened.recovered.last_header),
      segment_bytes_(opened.recovered.last_bytes),
      offset_(opened.recovered.last_end.offset),
      previous_(opened.recovered.last_end.checksum),
      written_index_(opened.recovered.last_end.next_index - 1),
      room_(segment_bytes_ - offset_),
      capacity_(segment_bytes_),
      synced_index_(written_index_),
      file_(for_appending(std::move(file), options.durability)),
      appended_index_(written_index_),
      next_segment_bytes_(next_segment_bytes(segment_bytes_, options_.segment_bytes)),
      sealed_(std::move(opened.recovered.sealed)),
      snapshots_(std::move(opened.recovered.snapshots)),
      snapshot_bytes_(opened.recovered.snapshot_bytes) {}

LocalJournal::~LocalJournal() {
  end_threads();
  if (auto synced = barrier(); !synced) options_.on_failure(synced.error());
  if (auto checked = check_directory(); !checked) options_.on_failure(checked.error());
}

core::Room LocalJournal::room_for(std::size_t bytes, bool reserved, std::size_t ends) const {
  const std::uint64_t needed = bytes + 2 * frame_overhead_max;
  const Space space = space_.load(std::memory_order_acquire);
  const bool is_full = space == Space::full;
  // The prepared segment first: append() publishes in the opposite order, so room that moves from
  // one to the other is never seen in neither, and briefly in both.
  const std::uint64_t prepared = prepared_room_.load(std::memory_order_acquire);
  const std::uint64_t room = room_.load(std::memory_order_acquire);
  const std::uint64_t later = later_room_.load(std::memory_order_acquire);
  // The new grant must have room for its end too; an end is the shorter record of the two.
  const std::uint64_t kept = reserved ? 0 : bytes + ends * end_bytes_max;
  const auto fits = [&](std::uint64_t segment_room, std::uint64_t segment_bytes) {
    return needed + (reserved ? 0 : reserve_of(segment_bytes, is_full)) <= segment_room;
  };
  const bool has_place =
      fits(prepared, prepared) || fits(room, capacity_.load(std::memory_order_acquire));
  ends_.store(ends, std::memory_order_relaxed);
  if (has_place && needed + kept <= prepared + room + later) return core::Room::enough;
  // Waiting does not help if the next segment is prepared and too small.
  const bool is_too_much = space == Space::prepared && prepared != 0;
  return is_full || is_too_much ? core::Room::none : core::Room::soon;
}

bool LocalJournal::refuses_locks() const {
  const std::uint64_t ends = ends_.load(std::memory_order_relaxed);
  const std::uint64_t needed = 2 * (core::record_bytes_max + frame_overhead_max);
  return ends != ends_unknown &&
         needed + ends * end_bytes_max > prepared_room_ + room_ + later_room_;
}

LocalJournal::Status LocalJournal::status() const {
  std::unique_lock lock{mutex_};
  Status status = status_;
  status.segments = sealed_.size() + 1;
  status.segment_bytes = capacity_.load(std::memory_order_relaxed) + bytes_of(sealed_);
  status.snapshots = snapshots_.size();
  status.snapshot_bytes = snapshot_bytes_;
  status.makes_snapshots = !snapshot_policy_.is_off() && !snapshot_policy_.is_put_off();
  lock.unlock();
  if (const auto free = files_.free_space(options_.directory)) status.free_bytes = *free;
  return status;
}

std::chrono::nanoseconds LocalJournal::write_age(Clock::time_point now) const {
  return now - std::min({now, append_began_.load(), sync_began_.load()});
}

Result<void> LocalJournal::append(std::string_view records, std::uint32_t count) {
  append_began_ = Clock::now();
  Frame frame{written_index_ + 1, count, 0, previous_, 0, records};
  if (frame.size() > segment_bytes_ - offset_) {
    if (auto begun = begin_next_segment(); !begun) return fault(begun.error());
    LOCKER_ASSERT(frame.size() <= segment_bytes_ - offset_);  // guaranteed by room_for()
  }
  frame.synced_index = synced_index_.load(std::memory_order_relaxed);
  frame_.clear();
  previous_ = append_frame(frame, segment_.salt, frame_);
  if (auto written = file_->write_at(offset_, frame_); !written) return fault(written.error());
  if (options_.durability == Durability::always) {
    if (auto synced = file_->sync(); !synced) return fault(synced.error());
  }
  offset_ += frame_.size();
  written_index_ += count;
  room_.store(segment_bytes_ - offset_, std::memory_order_release);
  if (options_.durability == Durability::always) {
    synced_index_.store(written_index_, std::memory_order_relaxed);
  } else {
    const std::lock_guard lock{mutex_};
    appended_index_ = written_index_;
  }
  append_began_ = never;
  return {};
}

Result<void> LocalJournal::barrier() {
  if (auto synced = file_->sync(); !synced) return fault(synced.error());
  synced_index_.store(written_index_, std::memory_order_relaxed);
  return {};
}

IoResult<void> LocalJournal::begin_next_segment() {
  // Whatever the durability: recovery treats a gap before the last segment as damage.
  if (auto synced = file_->sync(); !synced) return synced.error();
  synced_index_.store(written_index_, std::memory_order_relaxed);
  auto prepared = take_prepared();
  if (!prepared) return prepared.error();
  prepared->file = for_appending(std::move(prepared->file), options_.durability);
  const SegmentHeader next{store_id_, options_.random_number(), written_index_ + 1, previous_};
  if (auto published = publish_segment(files_, options_.directory, *prepared, next); !published) {
    return published.error();
  }
  // Only after that: a sealed segment without a next one is damage.
  if (auto sealed = seal_segment(*file_, segment_.salt, next.first_index); !sealed) {
    return sealed.error();
  }
  {
    const std::lock_guard lock{mutex_};
    sealed_.push_back({segment_.first_index, written_index_, segment_bytes_,
                       ends_.load(std::memory_order_relaxed)});
    file_ = std::move(prepared->file);
    next_segment_bytes_ = next_segment_bytes(prepared->bytes, options_.segment_bytes);
    segment_ = next;
    segment_bytes_ = prepared->bytes;
    offset_ = segment_header_bytes;
    capacity_.store(segment_bytes_, std::memory_order_release);
    room_.store(segment_bytes_ - offset_, std::memory_order_release);
    prepared_room_.store(0, std::memory_order_release);
    space_.store(Space::preparing, std::memory_order_release);
  }
  wake_.notify_all();
  return {};
}

IoResult<PreparedSegment> LocalJournal::take_prepared() {
  std::unique_lock lock{mutex_};
  if (!options_.background && !prepared_) {
    return prepare_segment(files_, options_.directory, {.bytes = next_segment_bytes_});
  }
  wake_.wait(lock, [this] { return prepared_ || space_ == Space::full; });
  LOCKER_ASSERT(prepared_);  // guaranteed by room_for()
  PreparedSegment taken = std::move(*prepared_);
  prepared_.reset();
  space_.store(Space::taken, std::memory_order_release);
  return taken;
}

}  // namespace locker::persistence
