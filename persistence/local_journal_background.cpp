// The background threads. One keeps the next segment prepared and signals a second one when a
// snapshot is due; the second makes snapshots; with Durability::interval a third one syncs.

#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <utility>

#include "core/assert.hpp"
#include "persistence/local_journal.hpp"
#include "persistence/snapshot_format.hpp"

namespace locker::persistence {
namespace {

/// How often a full disk is examined again, and one with no more than this left: about what it
/// takes to end everything that can be held by default.
constexpr std::chrono::milliseconds full_disk_interval{250};
constexpr std::uint64_t scarce_bytes = std::uint64_t{4} << 30U;

/// How often the journal checks that the directory still has its name.
constexpr std::chrono::milliseconds directory_interval{1000};

/// Whether the error may pass, so that the operation is retried at intervals.
bool may_pass(const IoError& error) {
  return is_full_disk(error) || is_short_of_descriptors(error.code);
}

}  // namespace

void LocalJournal::start_threads() {
  preparer_ = std::jthread([this](const std::stop_token& stop) { prepare_and_watch(stop); });
  compactor_ = std::jthread([this](const std::stop_token& stop) { compact_when_told(stop); });
  if (options_.durability == Durability::interval) {
    syncer_ = std::jthread([this](const std::stop_token& stop) { sync_now_and_then(stop); });
  }
}

void LocalJournal::end_threads() {
  for (std::jthread* const thread : {&syncer_, &preparer_, &compactor_}) thread->request_stop();
  for (std::jthread* const thread : {&syncer_, &preparer_, &compactor_}) {
    if (thread->joinable()) thread->join();
  }
}

void LocalJournal::prepare_and_watch(const std::stop_token& stop) {
  while (!stop.stop_requested()) {
    end_if_failed(check_directory());
    end_if_failed(prepare_next(stop));
    look_for_room();
    std::unique_lock lock{mutex_};
    // Only after preparing: when room is scarce, the next segment takes precedence over a snapshot.
    if (!is_compacting_ && !segments_to_compact().empty()) {
      is_compacting_ = true;
      wake_.notify_all();
    }
    const bool is_scarce = later_room_.load(std::memory_order_relaxed) < scarce_bytes;
    const bool may_change_soon =
        is_scarce || has_no_next_segment() || snapshot_policy_.is_put_off();
    wake_.wait_for(lock, stop, may_change_soon ? full_disk_interval : directory_interval,
                   [this] { return has_work(); });
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

Result<void> LocalJournal::sync_if_due() {
  if (options_.durability != Durability::interval) return {};
  std::unique_lock lock{mutex_};
  const std::shared_ptr<File> file = file_;
  const Index index = appended_index_;
  lock.unlock();
  if (index <= synced_index_.load(std::memory_order_relaxed)) return {};
  sync_began_ = Clock::now();
  if (auto synced = file->sync(); !synced) return fault(synced.error());
  sync_began_ = never;
  Index before = synced_index_.load(std::memory_order_relaxed);
  while (before < index && !synced_index_.compare_exchange_weak(before, index)) {
  }
  return {};
}

void LocalJournal::end_if_failed(const Result<void>& done) const {
  if (done) return;
  options_.on_failure(done.error());
  std::abort();
}

bool LocalJournal::has_work() const {
  if (is_compacting_) return space_ == Space::preparing;
  return space_ == Space::preparing || space_ == Space::waiting ||
         (!snapshot_policy_.is_put_off() && !segments_to_compact().empty());
}

Result<void> LocalJournal::run_background() {
  LOCKER_ASSERT(!options_.background);
  if (auto checked = check_directory(); !checked) return checked.error();
  if (auto prepared = prepare_next({}); !prepared) return prepared.error();
  look_for_room();
  if (auto synced = sync_if_due(); !synced) return synced.error();
  return compact_if_due({});
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
  SegmentWish wish{.bytes = next_segment_bytes_, .spare_bytes = spare_wanted()};
  const std::uint64_t wanted_free = wish.bytes + wish.spare_bytes;
  const bool was_compacting = is_compacting_;
  // Otherwise a snapshot may free room for a larger segment before the second try.
  const bool is_all_tried = space_ == Space::full || snapshot_policy_.is_off() ||
                            snapshot_policy_.is_put_off() || segments_since_snapshot().empty();
  const auto under_way = under_way_;
  // A snapshot in progress may grow by everything that it reads.
  if (was_compacting) {
    wish.spare_bytes += under_way ? under_way->sealed_bytes : bytes_of(segments_to_compact());
  }
  lock.unlock();
  if (under_way) {  // what it has written is already not free
    const std::uint64_t written = size_of(unfinished_snapshot_name(under_way->last_index));
    wish.spare_bytes -= std::min(written, wish.spare_bytes - spare_bytes_min);
  }
  const auto free = files_.free_space(options_.directory);
  if (!free) return fault(free.error());

  // A segment prepared before the start keeps its size: locks are held that rely on it.
  std::optional<PreparedSegment> kept;
  if (!std::exchange(has_tried_, true)) {
    auto again = prepare_again(files_, options_.directory);
    if (!again) return fault(again.error());
    kept = std::move(*again);
  }
  const std::uint64_t kept_bytes = kept ? kept->bytes : 0;
  auto prepared = kept ? IoResult<PreparedSegment>{std::move(*kept)}
                       : prepare_segment(files_, options_.directory, wish);
  const bool does_not_fit = !prepared && may_pass(prepared.error());
  const bool is_for_ends = does_not_fit && is_all_tried && !was_compacting;
  if (is_for_ends) warn_of_full_disk(prepared.error());
  if (is_for_ends) prepared = prepare_for_ends();
  if (!prepared && !may_pass(prepared.error())) return fault(prepared.error());

  lock.lock();
  const bool is_full = !prepared && is_for_ends;
  is_tight_ = !prepared || is_for_ends || *free + kept_bytes < wanted_free;
  if (prepared) {
    note_prepared(std::move(*prepared));
  } else {
    if (is_full) later_room_.store(0, std::memory_order_release);
    space_.store(is_full ? Space::full : Space::waiting, std::memory_order_release);
    free_when_tried_ = *free;
  }
  lock.unlock();
  wake_.notify_all();
  larger_needs_free_ = 0;
  if (prepared && !is_for_ends) tell_of_space();
  return {};
}

/// Prepares the smallest segment when a snapshot like the last one does not fit alongside it. If
/// locks filled the disk and were released, the size of the last snapshot says nothing about the
/// next: with the most that the next one takes left free, one more segment leads to a snapshot that
/// frees the rest.
IoResult<PreparedSegment> LocalJournal::prepare_for_ends() {
  const std::uint64_t next_snapshot = snapshot_bytes_max(ends_.load(std::memory_order_relaxed));
  return prepare_segment(
      files_, options_.directory,
      {.bytes = segment_bytes_min, .spare_bytes = std::min(spare_bytes_min, next_snapshot)});
}

/// Replaces the prepared segment with a larger one, if that fits. The smaller one stays until the
/// larger one is ready: room_for() has promised it.
Result<void> LocalJournal::prepare_larger(const std::stop_token& stop) {
  std::unique_lock lock{mutex_};
  if (!prepared_ || is_compacting_) return {};
  const SegmentWish wish{.bytes = next_segment_bytes_,
                         .spare_bytes = spare_wanted(),
                         .least_bytes = 2 * prepared_->bytes};
  lock.unlock();
  if (wish.bytes < wish.least_bytes) return {};
  const auto free = files_.free_space(options_.directory);
  if (!free) return fault(free.error());
  if (*free < std::max(wish.least_bytes + wish.spare_bytes, larger_needs_free_)) return {};
  auto larger = prepare_segment(files_, options_.directory, wish, larger_name);
  if (!larger) {
    if (!may_pass(larger.error())) return fault(larger.error());
    if (is_full_disk(larger.error())) larger_needs_free_ = *free + spare_bytes_min;
    return {};
  }
  lock.lock();
  // append() finds a prepared segment by its name, so a rename must not overlap with another.
  wake_.wait(lock, stop, [this] { return space_ != Space::taken; });
  if (stop.stop_requested()) return {};  // the unfinished file is removed at the next start
  // Not under the mutex: the disk may hang.
  space_.store(Space::taken, std::memory_order_release);
  prepared_.reset();
  lock.unlock();
  const std::string path = in_directory(options_.directory, prepared_name);
  auto renamed = files_.rename(in_directory(options_.directory, larger_name), path);
  if (!renamed) return fault(renamed.error());
  lock.lock();
  is_tight_ = *free < wish.bytes + wish.spare_bytes;
  prepared_ = std::move(*larger);
  space_.store(Space::prepared, std::memory_order_release);
  lock.unlock();
  wake_.notify_all();
  // Before promising anything that a power failure could undo.
  auto synced = files_.sync_directory(options_.directory);
  if (!synced) return fault(synced.error());
  lock.lock();
  if (prepared_) note_prepared(std::move(*prepared_));  // otherwise append() has taken it
  lock.unlock();
  wake_.notify_all();
  tell_of_space();
  return {};
}

/// Records the prepared segment, and reduces the later room by its size until look_for_room()
/// updates that.
void LocalJournal::note_prepared(PreparedSegment prepared) {
  const std::uint64_t later = later_room_.load(std::memory_order_relaxed);
  later_room_.store(later - std::min(later, prepared.bytes), std::memory_order_release);
  prepared_room_.store(prepared.bytes - segment_header_bytes, std::memory_order_release);
  prepared_ = std::move(prepared);
  space_.store(Space::prepared, std::memory_order_release);
}

void LocalJournal::warn_of_full_disk(const IoError& error) {
  if (std::exchange(has_warned_, true)) return;
  options_.on_warning(error.message +
                      ". New locks are refused when the rest of the journal is needed to release "
                      "those that are held" +
                      (is_full_disk(error) ? "; free space on that disk." : "."));
}

void LocalJournal::tell_of_space() {
  if (!std::exchange(has_warned_, false)) return;
  options_.on_warning("There is space for the journal again.");
}

/// Computes later_room_: half of the free space, because snapshots need their part. The next
/// snapshot may take as much as the last one and everything sealed since. Does nothing while a
/// snapshot is being made, which takes room for a while and then frees more. If there is no room
/// for the next segment, the later room is 0 whatever the disk reports, because a quota may apply.
///
/// If that is too little for a lock, the next snapshot makes room if it and another like it are
/// expected to take less than what is set aside for it plus what it replaces. The gain must be at
/// least a quarter of its size; otherwise, when locks come and go at the limit, everything that is
/// held would be rewritten after each segment.
void LocalJournal::look_for_room() {
  std::unique_lock lock{mutex_};
  if (is_compacting_) return;
  const std::uint64_t most = snapshot_bytes_ + bytes_of(segments_since_snapshot());
  const std::uint64_t expected = expected_snapshot_bytes();
  const std::uint64_t spare = most + spare_bytes_min + segment_bytes_min + capacity_;
  const bool is_full = has_no_next_segment();
  lock.unlock();
  const auto free = files_.free_space(options_.directory);
  if (!free) return;
  const std::uint64_t half = (*free - std::min(*free, spare)) / 2;
  later_room_.store(is_full ? 0 : half, std::memory_order_release);
  const std::uint64_t gain = std::max(segment_bytes_min, expected / 4);
  const bool makes_room = refuses_locks() && expected <= *free &&
                          most + freed_by_next_snapshot() >= 2 * expected + gain;
  lock.lock();
  makes_room_ = makes_room;
}

}  // namespace locker::persistence
