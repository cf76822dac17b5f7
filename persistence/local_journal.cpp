#include "persistence/local_journal.hpp"

#include <algorithm>
#include <bit>
#include <cstdlib>
#include <utility>

#include "core/assert.hpp"
#include "persistence/snapshot_format.hpp"

namespace locker::persistence {
namespace {

/// How often a full disk is looked at again, and one that has no more than this left: about what
/// it takes to end all that can be held by default.
constexpr std::chrono::milliseconds full_disk_interval{250};
constexpr std::uint64_t scarce_bytes = std::uint64_t{4} << 30U;

/// How often it is looked whether the directory still has its name.
constexpr std::chrono::milliseconds directory_interval{1000};

core::Fault fault(const IoError& error) { return {error.message + "."}; }

/// What ends a lock or a lease, in a frame of its own.
constexpr std::uint64_t end_bytes_max = core::record_head_bytes + frame_overhead_max;

/// Part of a segment that only ends of locks may use: an eighth while the next one is on its way,
/// a quarter at least when the disk has no room for it.
std::uint64_t reserve_of(std::uint64_t segment_bytes, bool is_full) {
  return segment_bytes / (is_full ? 4 : 8);
}

std::uint64_t largest_bytes(const LocalJournal::Options& options) {
  return std::bit_floor(std::max(options.segment_bytes, segment_bytes_min));
}

std::uint64_t first_bytes(const LocalJournal::Options& options) {
  return std::min(largest_bytes(options), segment_bytes_first);
}

/// As behind the first one also where a smaller one had to do.
std::uint64_t next_bytes(std::uint64_t bytes, const LocalJournal::Options& options) {
  return std::min(largest_bytes(options), 2 * std::max(std::bit_ceil(bytes), segment_bytes_first));
}

}  // namespace

OpenResult<std::unique_ptr<LocalJournal>> LocalJournal::open(FileSystem& files,
                                                             const Options& options,
                                                             const RecordVisitor& on_record,
                                                             Recovered& recovered) {
  auto opened =
      open_store(files, options.directory, first_bytes(options), options.random_number, on_record);
  if (!opened) return opened.error();
  recovered = opened->recovered.summary;
  for (const std::string& warning : opened->recovered.warnings) options.on_warning(warning);
  auto file = files.open(
      in_directory(options.directory, segment_name(opened->recovered.last_header.first_index)),
      Access::write);
  if (!file) return open_fault(file.error());
  return std::unique_ptr<LocalJournal>(
      new LocalJournal(files, options, std::move(*opened), std::move(*file)));
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
      file_(std::move(file)),
      appended_index_(written_index_),
      next_segment_bytes_(next_bytes(segment_bytes_, options)),
      sealed_(std::move(opened.recovered.sealed)),
      snapshots_(std::move(opened.recovered.snapshots)),
      snapshot_bytes_(opened.recovered.snapshot_bytes) {
  if (options_.background) {
    worker_ = std::jthread([this](const std::stop_token& stop) { work(stop); });
    compactor_ = std::jthread([this](const std::stop_token& stop) { compact_when_told(stop); });
    if (options_.durability == Durability::interval) {
      syncer_ = std::jthread([this](const std::stop_token& stop) { sync_now_and_then(stop); });
    }
  }
}

LocalJournal::~LocalJournal() {
  for (std::jthread* const thread : {&syncer_, &worker_, &compactor_}) thread->request_stop();
  for (std::jthread* const thread : {&syncer_, &worker_, &compactor_}) {
    if (thread->joinable()) thread->join();
  }
  if (auto synced = barrier(); !synced) options_.on_failure(synced.error());
  if (auto checked = check_directory(); !checked) options_.on_failure(checked.error());
}

core::Room LocalJournal::room_for(std::size_t bytes, bool reserved, std::size_t held) const {
  const std::uint64_t needed = bytes + 2 * frame_overhead_max;
  const Space space = space_.load(std::memory_order_acquire);
  const bool is_full = space == Space::full;
  // The prepared one first: append() publishes in the other order, so that what moves from one to
  // the other is never seen in neither.
  const std::uint64_t prepared = prepared_room_.load(std::memory_order_acquire);
  const std::uint64_t room = room_.load(std::memory_order_acquire);
  const std::uint64_t later = is_full ? 0 : later_room_.load(std::memory_order_acquire);
  // What is granted now has its end too, which is the shorter one of the two.
  const std::uint64_t ends = reserved ? 0 : bytes + held * end_bytes_max;
  const auto fits = [&](std::uint64_t segment_room, std::uint64_t segment_bytes) {
    return needed + (reserved ? 0 : reserve_of(segment_bytes, is_full)) <= segment_room;
  };
  const bool has_place =
      fits(prepared, prepared) || fits(room, capacity_.load(std::memory_order_acquire));
  if (!reserved) held_.store(held, std::memory_order_relaxed);
  if (has_place && needed + ends <= prepared + room + later) return core::Room::enough;
  // No use to wait where the next one is there, and too small.
  const bool is_too_much = space == Space::prepared && prepared != 0;
  return is_full || is_too_much ? core::Room::none : core::Room::soon;
}

LocalJournal::Status LocalJournal::status() const {
  std::unique_lock lock{mutex_};
  Status status = status_;
  status.segments = sealed_.size() + 1;
  status.segment_bytes = capacity_.load(std::memory_order_relaxed);
  for (const SealedSegment& segment : sealed_) status.segment_bytes += segment.bytes;
  status.snapshots = snapshots_.size();
  status.snapshot_bytes = snapshot_bytes_;
  status.makes_snapshots = !compaction_is_off_ && compaction_needs_ == 0;
  lock.unlock();
  if (const auto free = files_.free_space(options_.directory)) status.free_bytes = *free;
  return status;
}

Result<void> LocalJournal::append(std::string_view records, std::uint32_t count) {
  Frame frame{written_index_ + 1, count, 0, previous_, 0, records};
  if (frame.size() > segment_bytes_ - offset_) {
    if (auto begun = begin_next_segment(); !begun) return fault(begun.error());
    LOCKER_ASSERT(frame.size() <= segment_bytes_ - offset_);  // room_for() promised it
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
  return {};
}

Result<void> LocalJournal::barrier() {
  if (auto synced = file_->sync(); !synced) return fault(synced.error());
  synced_index_.store(written_index_, std::memory_order_relaxed);
  return {};
}

IoResult<void> LocalJournal::begin_next_segment() {
  // Whatever the durability: recovery takes a gap before the last segment for damage.
  if (auto synced = file_->sync(); !synced) return synced.error();
  synced_index_.store(written_index_, std::memory_order_relaxed);
  auto prepared = take_prepared();
  if (!prepared) return prepared.error();
  const SegmentHeader next{store_id_, options_.random_number(), written_index_ + 1, previous_};
  if (auto published = publish_segment(files_, options_.directory, *prepared, next); !published) {
    return published.error();
  }
  // Only now: a sealed segment without a next one is damage.
  if (auto sealed = seal_segment(*file_, segment_.salt, next.first_index); !sealed) {
    return sealed.error();
  }
  {
    const std::lock_guard lock{mutex_};
    sealed_.push_back({segment_.first_index, written_index_, segment_bytes_});
    file_ = std::move(prepared->file);
    next_segment_bytes_ = next_bytes(prepared->bytes, options_);
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
    return prepare_segment(files_, options_.directory, {next_segment_bytes_, 0});
  }
  wake_.wait(lock, [this] { return prepared_ || space_ == Space::full; });
  LOCKER_ASSERT(prepared_);  // room_for() promised it
  PreparedSegment taken = std::move(*prepared_);
  prepared_.reset();
  space_.store(Space::taken, std::memory_order_release);
  return taken;
}

void LocalJournal::end_if_failed(const Result<void>& done) const {
  if (done) return;
  options_.on_failure(done.error());
  std::abort();
}

void LocalJournal::work(const std::stop_token& stop) {
  while (!stop.stop_requested()) {
    end_if_failed(check_directory());
    end_if_failed(prepare_next(stop));
    look_for_room();
    std::unique_lock lock{mutex_};
    // Only now: where there is little room, the next segment comes before a snapshot.
    if (!is_compacting_ && !segments_to_compact().empty()) {
      is_compacting_ = true;
      wake_.notify_all();
    }
    const bool is_scarce = later_room_.load(std::memory_order_relaxed) < scarce_bytes;
    if (is_scarce || space_ == Space::full || space_ == Space::waiting || compaction_needs_ != 0) {
      wake_.wait_for(lock, stop, full_disk_interval, [this] { return has_work(); });
    } else {
      wake_.wait_for(lock, stop, directory_interval, [this] { return has_work(); });
    }
  }
}

void LocalJournal::compact_when_told(const std::stop_token& stop) {
  for (;;) {
    std::unique_lock lock{mutex_};
    if (!wake_.wait(lock, stop, [this] { return is_compacting_; })) return;
    lock.unlock();
    end_if_failed(compact_if_due(stop));
    lock.lock();
    is_compacting_ = false;
    lock.unlock();
    wake_.notify_all();
  }
}

void LocalJournal::sync_now_and_then(const std::stop_token& stop) {
  while (!stop.stop_requested()) {
    end_if_failed(sync_if_due());
    std::unique_lock lock{mutex_};
    wake_.wait_for(lock, stop, options_.sync_interval, [] { return false; });
  }
}

Result<void> LocalJournal::run_background() {
  LOCKER_ASSERT(!options_.background);
  if (auto checked = check_directory(); !checked) return checked.error();
  if (auto prepared = prepare_next({}); !prepared) return prepared.error();
  look_for_room();
  if (auto synced = sync_if_due(); !synced) return synced.error();
  return compact_if_due({});
}

bool LocalJournal::has_work() const {
  if (is_compacting_) return space_ == Space::preparing;
  return space_ == Space::preparing || space_ == Space::waiting ||
         (compaction_needs_ == 0 && !segments_to_compact().empty());
}

Result<void> LocalJournal::check_directory() const {
  if (auto checked = files_.check_held_directory(); !checked) return fault(checked.error());
  return {};
}

Result<void> LocalJournal::prepare_next(const std::stop_token& stop) {
  std::unique_lock lock{mutex_};
  if (space_ == Space::taken) return {};
  if (space_ == Space::prepared) {
    lock.unlock();
    return prepare_larger(stop);
  }
  SegmentWish wish{next_segment_bytes_, spare_wanted()};
  const std::uint64_t wanted_free = wish.bytes + wish.spare_bytes;
  const SegmentWish for_ends{segment_bytes_min,
                             std::min(spare_bytes_min, next_snapshot_bytes_max())};
  const bool was_compacting = is_compacting_;
  const bool was_full = space_ == Space::full;
  // One that is under way has begun with this room, and may grow by all that it reads.
  if (was_compacting) {
    for (const SealedSegment& segment : segments_to_compact()) wish.spare_bytes += segment.bytes;
  }
  lock.unlock();
  const auto free = files_.free_space(options_.directory);
  if (!free) return fault(free.error());
  IoResult<PreparedSegment> prepared = PreparedSegment{};
  bool is_for_ends = false;
  // What was prepared before the start is there: locks are held that rely on it.
  const std::uint64_t before =
      std::exchange(has_prepared_, true) ? 0 : prepared_bytes(files_, options_.directory);
  if (before != 0) prepared = prepare_segment(files_, options_.directory, {before, 0, before});
  if (before == 0 || (!prepared && is_full_disk(prepared.error()))) {
    prepared = prepare_segment(files_, options_.directory, wish);
  }
  if (!prepared && is_full_disk(prepared.error()) && was_full && !was_compacting) {
    is_for_ends = true;
    prepared = prepare_segment(files_, options_.directory, for_ends);
  }
  if (!prepared && !is_full_disk(prepared.error())) return fault(prepared.error());
  lock.lock();
  const bool is_full = !prepared && (was_full || !(was_compacting || is_compacting_));
  is_tight_ = !prepared || is_for_ends || *free + before < wanted_free;
  if (prepared) {
    note_prepared(std::move(*prepared));
  } else {
    space_.store(is_full ? Space::full : Space::waiting, std::memory_order_release);
  }
  lock.unlock();
  wake_.notify_all();
  larger_needs_free_ = 0;
  if (is_full && !std::exchange(has_warned_, true)) {
    options_.on_warning(prepared.error().message +
                        ". New locks are refused when the rest of the journal is needed to release "
                        "those that are held; free space on that disk.");
  }
  if (prepared && !is_for_ends && std::exchange(has_warned_, false)) {
    options_.on_warning("There is space for the journal again.");
  }
  return {};
}

/// The one that is there stays until the larger one is: room_for() has promised it.
Result<void> LocalJournal::prepare_larger(const std::stop_token& stop) {
  std::unique_lock lock{mutex_};
  if (!prepared_ || is_compacting_) return {};
  const SegmentWish wish{next_segment_bytes_, spare_wanted(), 2 * prepared_->bytes};
  lock.unlock();
  if (wish.bytes < wish.least_bytes) return {};
  const auto free = files_.free_space(options_.directory);
  if (!free) return fault(free.error());
  if (*free < std::max(wish.least_bytes + wish.spare_bytes, larger_needs_free_)) return {};
  auto larger = prepare_segment(files_, options_.directory, wish, larger_name);
  if (!larger) {
    if (!is_full_disk(larger.error())) return fault(larger.error());
    larger_needs_free_ = *free + spare_bytes_min;
    return {};
  }
  lock.lock();
  // Who takes one finds it by its name.
  wake_.wait(lock, stop, [this] { return space_ != Space::taken; });
  if (stop.stop_requested()) return {};  // what was begun is removed at the next start
  const std::string path = in_directory(options_.directory, prepared_name);
  auto renamed = files_.rename(in_directory(options_.directory, larger_name), path);
  if (!renamed) return fault(renamed.error());
  is_tight_ = *free < wish.bytes + wish.spare_bytes;
  note_prepared(std::move(*larger));
  lock.unlock();
  wake_.notify_all();
  if (std::exchange(has_warned_, false)) {
    options_.on_warning("There is space for the journal again.");
  }
  return {};
}

/// Under the mutex. What is free is less now; it is looked at again when no snapshot is made.
void LocalJournal::note_prepared(PreparedSegment prepared) {
  const std::uint64_t later = later_room_.load(std::memory_order_relaxed);
  later_room_.store(later - std::min(later, prepared.bytes), std::memory_order_release);
  prepared_room_.store(prepared.bytes - segment_header_bytes, std::memory_order_release);
  prepared_ = std::move(prepared);
  space_.store(Space::prepared, std::memory_order_release);
  gave_way_ = false;
}

/// Where locks filled the disk and were released, the last snapshot says nothing of the next one.
/// With this beside it, one more segment leads to a snapshot that frees the rest.
std::uint64_t LocalJournal::next_snapshot_bytes_max() const {
  return snapshot_bytes_max(held_.load(std::memory_order_relaxed));
}

/// What a snapshot frees when it is made: what only the one before the newest needs. A file whose
/// size is not known frees nothing.
std::uint64_t LocalJournal::freed_by_next_snapshot() const {
  std::unique_lock lock{mutex_};
  const std::vector<Index> snapshots = snapshots_;
  std::uint64_t bytes = 0;
  for (const SealedSegment& segment : sealed_) {
    if (!snapshots.empty() && segment.last_index <= snapshots.back()) bytes += segment.bytes;
  }
  lock.unlock();
  if (snapshots.size() < 2) return bytes;
  const auto file =
      files_.open(in_directory(options_.directory, snapshot_name(snapshots.front())), Access::read);
  const auto size = file ? (*file)->size() : IoResult<std::uint64_t>{file.error()};
  return bytes + (size ? *size : 0);
}

/// Half of what is free: snapshots take their part. The next one may have all that has been written
/// since the last. Not while one is made: it takes room for a while, and frees more.
void LocalJournal::look_for_room() {
  std::unique_lock lock{mutex_};
  if (is_compacting_) return;
  std::uint64_t spare = spare_wanted() + segment_bytes_min + capacity_;
  for (const SealedSegment& segment : segments_since_snapshot()) spare += segment.bytes;
  lock.unlock();
  const auto free = files_.free_space(options_.directory);
  if (free) later_room_.store((*free - std::min(*free, spare)) / 2, std::memory_order_release);
}

Result<void> LocalJournal::sync_if_due() {
  if (options_.durability != Durability::interval) return {};
  std::unique_lock lock{mutex_};
  const std::shared_ptr<File> file = file_;
  const Index index = appended_index_;
  lock.unlock();
  if (index <= synced_index_.load(std::memory_order_relaxed)) return {};
  if (auto synced = file->sync(); !synced) return fault(synced.error());
  Index before = synced_index_.load(std::memory_order_relaxed);
  while (before < index && !synced_index_.compare_exchange_weak(before, index)) {
  }
  return {};
}

std::vector<SealedSegment> LocalJournal::segments_since_snapshot() const {
  const Index snapshot = snapshots_.empty() ? 0 : snapshots_.back();
  const auto is_since = [&](const SealedSegment& segment) {
    return segment.first_index > snapshot;
  };
  return {std::find_if(sealed_.begin(), sealed_.end(), is_since), sealed_.end()};
}

std::vector<SealedSegment> LocalJournal::segments_to_compact() const {
  if (compaction_is_off_) return {};
  std::vector<SealedSegment> segments = segments_since_snapshot();
  std::uint64_t bytes = 0;
  for (const SealedSegment& segment : segments) bytes += segment.bytes;
  // As much new as there is old: what is written twice stays within what is written once.
  const bool is_due = bytes >= std::max(snapshot_bytes_, first_bytes(options_));
  if (!is_due && !is_tight_) segments.clear();
  return segments;
}

/// The same snapshot, made as a start makes the state where the newest one is damaged: from the one
/// before, or from the first record on. Null when not all of that is there: behind a restored
/// backup's snapshot there is nothing.
std::optional<CompactionInput> LocalJournal::without_newest_snapshot(CompactionInput input) const {
  const std::lock_guard lock{mutex_};
  input.snapshot.reset();
  if (snapshots_.size() > 1) input.snapshot = snapshots_.front();
  const Index first_index = input.snapshot.value_or(0) + 1;
  const Index last_index = input.segments.back().last_index;
  input.segments.clear();
  for (const SealedSegment& segment : sealed_) {
    if (segment.first_index >= first_index && segment.last_index <= last_index) {
      input.segments.push_back(segment);
    }
  }
  if (input.segments.front().first_index != first_index) return std::nullopt;
  return input;
}

Result<void> LocalJournal::compact_if_due(const std::stop_token& stop) {
  std::unique_lock lock{mutex_};
  CompactionInput input{store_id_, std::nullopt, segments_to_compact(), 0};
  if (!snapshots_.empty()) input.snapshot = snapshots_.back();
  const bool is_full = space_ == Space::full;
  const Index failed_index = compaction_failed_index_;
  const bool is_half_held = held_.load(std::memory_order_relaxed) <= compaction_failed_held_ / 2;
  const std::uint64_t next_segment_needs = segment_bytes_min + spare_wanted();
  lock.unlock();
  if (input.segments.empty()) return {};
  const auto free = files_.free_space(options_.directory);
  if (!free) return fault(free.error());
  std::uint64_t sealed = 0;
  for (const SealedSegment& segment : input.segments) sealed += segment.bytes;
  const std::uint64_t surely_enough = next_snapshot_bytes_max();
  const bool may_fit_now =
      input.segments.back().last_index > failed_index && (is_half_held || *free >= surely_enough);
  if (*free < compaction_needs_ && sealed < compaction_waits_for_ && !may_fit_now) return {};
  // Freed since the next segment was tried, which may take the room now. Only once: where a quota
  // is in the way, it never does.
  lock.lock();
  gave_way_ = is_full && *free >= next_segment_needs && !gave_way_;
  if (gave_way_) return {};
  lock.unlock();

  const std::uint64_t left = *free + freed_by_next_snapshot();
  input.bytes_max = left - std::min(left, spare_bytes_min);
  // For what is held now, that is: more may be in the segments.
  if (*free >= surely_enough) input.bytes_max = std::max(input.bytes_max, surely_enough);
  input.salt = options_.random_number();
  const auto began = std::chrono::steady_clock::now();
  auto bytes = compact(files_, options_.directory, input, stop);
  std::optional<std::string> bad_snapshot;  // what is wrong with the newest one
  if (!bytes && bytes.error().snapshot_is_bad) {
    if (auto older = without_newest_snapshot(input)) {
      bad_snapshot = bytes.error().message;
      input = std::move(*older);
      input.salt = options_.random_number();
      bytes = compact(files_, options_.directory, input, stop);
    }
  }
  if (bytes && *bytes == 0) return {};  // stopped; what was begun is removed at the next start
  const Index index = input.segments.back().last_index;
  if (!bytes) {
    if (bytes.error().kind == OpenFault::Kind::io) return core::Fault{bytes.error().message};
    note_no_snapshot(index, bytes.error(), *free, sealed);
    options_.on_warning("No snapshot was made: " + bytes.error().message +
                        (bad_snapshot ? " Before: " + *bad_snapshot : ""));
    return {};
  }
  note_snapshot(index, *bytes, std::chrono::steady_clock::now() - began, bad_snapshot.has_value());
  if (bad_snapshot) {
    options_.on_warning(*bad_snapshot +
                        " The next one was made without it, from what is kept for this, and takes "
                        "its place: nothing is missing.");
  }
  return remove_covered();
}

/// Of the segments up to this index, which take `sealed` bytes, while so much of the disk was free.
/// It is tried again when there is more room; after any other fault it is not.
void LocalJournal::note_no_snapshot(Index index, const OpenFault& why, std::uint64_t free,
                                    std::uint64_t sealed) {
  const auto removed =
      files_.remove(in_directory(options_.directory, unfinished_snapshot_name(index)));
  static_cast<void>(removed);  // a left-over is removed at the next start
  const std::lock_guard lock{mutex_};
  compaction_is_off_ = why.kind != OpenFault::Kind::disk_full;
  if (!compaction_is_off_) {
    compaction_needs_ = free + spare_bytes_min;
    compaction_waits_for_ = 2 * sealed;
    compaction_failed_index_ = index;
    compaction_failed_held_ = held_.load(std::memory_order_relaxed);
  }
  ++status_.snapshots_failed;
}

/// It takes the place of the newest one, if that is bad.
void LocalJournal::note_snapshot(Index index, std::uint64_t bytes, std::chrono::nanoseconds took,
                                 bool newest_is_bad) {
  const std::lock_guard lock{mutex_};
  compaction_needs_ = 0;
  snapshot_bytes_ = bytes;
  ++status_.snapshots_made;
  status_.snapshot_took = took;
  status_.snapshot_made_at = std::chrono::system_clock::now();
  if (newest_is_bad) snapshots_.pop_back();
  snapshots_.push_back(index);
}

Result<void> LocalJournal::remove_covered() {
  std::unique_lock lock{mutex_};
  if (snapshots_.size() > 2) snapshots_.erase(snapshots_.begin(), snapshots_.end() - 2);
  const std::vector<Index> kept = snapshots_;
  // The first one needs every segment beside it: nothing else is there when it is damaged.
  const Index covered_index = kept.size() < 2 ? 0 : kept.front();
  std::vector<std::string> names;
  std::erase_if(sealed_, [&](const SealedSegment& segment) {
    const bool is_covered = segment.last_index <= covered_index;
    if (is_covered) names.push_back(segment_name(segment.first_index));
    return is_covered;
  });
  lock.unlock();
  const auto listed = files_.list(options_.directory);
  if (!listed) return fault(listed.error());
  for (const Index index : sort_files(*listed).snapshots) {
    if (index < kept.back() && index != kept.front()) names.push_back(snapshot_name(index));
  }
  for (const std::string& name : names) {
    auto removed = files_.remove(in_directory(options_.directory, name));
    const bool is_gone =
        removed || removed.error().code == boost::system::errc::no_such_file_or_directory;
    if (!is_gone) return fault(removed.error());
  }
  return {};
}

}  // namespace locker::persistence
