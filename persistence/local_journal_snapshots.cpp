// Which files the next snapshot is made of, and which it replaces.

#include <algorithm>
#include <chrono>
#include <utility>

#include "persistence/local_journal.hpp"
#include "persistence/snapshot_format.hpp"

namespace locker::persistence {

std::span<const SealedSegment> LocalJournal::segments_since_snapshot() const {
  const Index snapshot = snapshots_.empty() ? 0 : snapshots_.back();
  const auto is_since = [&](const SealedSegment& segment) {
    return segment.first_index > snapshot;
  };
  return {std::find_if(sealed_.begin(), sealed_.end(), is_since), sealed_.end()};
}

std::span<const SealedSegment> LocalJournal::segments_to_compact() const {
  if (snapshot_policy_.is_off()) return {};
  const auto segments = segments_since_snapshot();
  // As much new data as old, so that rewriting the old costs no more than journaling the new.
  const bool is_due =
      bytes_of(segments) >= std::max(snapshot_bytes_, first_segment_bytes(options_.segment_bytes));
  return is_due || is_tight_ || makes_room_ ? segments : std::span<const SealedSegment>{};
}

std::uint64_t LocalJournal::expected_snapshot_bytes() const {
  const auto segments = segments_since_snapshot();
  const std::uint64_t most = snapshot_bytes_ + bytes_of(segments);
  const std::uint64_t ends = segments.empty() ? ends_unknown : segments.back().ends;
  if (ends == ends_unknown || snapshot_ends_ == ends_unknown) return most;
  const double share =
      static_cast<double>(ends) / static_cast<double>(std::max(snapshot_ends_, std::uint64_t{1}));
  const double expected = share * static_cast<double>(snapshot_bytes_) + snapshot_block_bytes;
  return static_cast<std::uint64_t>(std::min(expected, static_cast<double>(most)));
}

Result<void> LocalJournal::compact_if_due(const std::stop_token& stop) {
  std::unique_lock lock{mutex_};
  const auto segments = segments_to_compact();
  if (segments.empty()) return {};
  CompactionInput input{store_id_, std::nullopt, {segments.begin(), segments.end()}, 0};
  if (!snapshots_.empty()) input.snapshot = snapshots_.back();
  lock.unlock();
  const auto free = files_.free_space(options_.directory);
  if (!free) return fault(free.error());
  const std::uint64_t replaced_bytes = freed_by_next_snapshot();

  lock.lock();
  // If a quota is what stops the segment, the free space does not grow.
  const bool segment_fits_again =
      has_no_next_segment() &&
      *free >= segment_bytes_min + std::max(spare_wanted(), free_when_tried_);
  const SnapshotPolicy::Situation now{.last_index = input.segments.back().last_index,
                                      .sealed_bytes = bytes_of(input.segments),
                                      .held = ends_.load(std::memory_order_relaxed),
                                      .free_bytes = *free,
                                      .segment_fits_again = segment_fits_again,
                                      .expected_bytes = expected_snapshot_bytes(),
                                      .replaced_bytes = replaced_bytes,
                                      .segment_has_no_room = has_no_next_segment()};
  if (!snapshot_policy_.may_try(now)) return {};
  under_way_ = now;
  lock.unlock();
  input.bytes_max = SnapshotPolicy::bytes_max(now);
  auto made = make_snapshot(std::move(input), now, stop);
  lock.lock();
  under_way_.reset();
  return made;
}

/// Returns what the next snapshot frees: the files that only the snapshot before the newest needs.
std::uint64_t LocalJournal::freed_by_next_snapshot() const {
  std::unique_lock lock{mutex_};
  const std::vector<Index> snapshots = snapshots_;
  std::uint64_t bytes = 0;
  for (const SealedSegment& segment : sealed_) {
    if (!snapshots.empty() && segment.last_index <= snapshots.back()) bytes += segment.bytes;
  }
  lock.unlock();
  return snapshots.size() < 2 ? bytes : bytes + size_of(snapshot_name(snapshots.front()));
}

std::uint64_t LocalJournal::size_of(const std::string& name) const {
  // Not opened for reading, which would sync it and drop its cache.
  const auto file = files_.open(in_directory(options_.directory, name), Access::write);
  const auto size = file ? (*file)->size() : IoResult<std::uint64_t>{file.error()};
  return size ? *size : 0;
}

Result<void> LocalJournal::make_snapshot(CompactionInput input,
                                         const SnapshotPolicy::Situation& now,
                                         const std::stop_token& stop) {
  const auto began = std::chrono::steady_clock::now();
  input.salt = options_.random_number();
  auto bytes = compact(files_, options_.directory, input, pace_of(stop));
  std::optional<std::string> bad_snapshot;  // what is wrong with the newest one
  if (!bytes && bytes.error().snapshot_is_bad) {
    if (auto older = without_newest_snapshot(input)) {
      bad_snapshot = bytes.error().message;
      input = std::move(*older);
      input.salt = options_.random_number();
      bytes = compact(files_, options_.directory, input, pace_of(stop));
    }
  }
  if (bytes && *bytes == 0) return {};  // stopped; the unfinished file is removed at the next start
  if (!bytes) {
    const bool is_io = bytes.error().kind == OpenFault::Kind::io;
    if (is_io && !bytes.error().may_pass) return core::Fault{bytes.error().message};
    if (note_no_snapshot(now, bytes.error())) {
      options_.on_warning("No snapshot was made: " + bytes.error().message +
                          (bad_snapshot ? " Before: " + *bad_snapshot : ""));
    }
    return {};
  }
  note_snapshot(now.last_index, *bytes, std::chrono::steady_clock::now() - began,
                input.segments.back().ends, bad_snapshot.has_value());
  if (bad_snapshot) {
    options_.on_warning(*bad_snapshot +
                        " The next snapshot was made without it, from the files that are kept for "
                        "this, and replaces it: nothing is missing.");
  }
  return remove_covered();
}

/// Returns the pace of a snapshot. It does not rest while its room is needed, nor once as much
/// again has been sealed: otherwise, if the journal grows faster than this, each snapshot would lag
/// further.
Pace LocalJournal::pace_of(const std::stop_token& stop) {
  if (!options_.background) return Pace{stop};
  const auto is_urgent = [this] {
    return is_tight_ || makes_room_ || has_no_next_segment() || refuses_locks() ||
           bytes_of(segments_since_snapshot()) >= 2 * under_way_->sealed_bytes;
  };
  return Pace{stop, [this, stop, is_urgent](std::chrono::nanoseconds time) {
                std::unique_lock lock{mutex_};
                wake_.wait_for(lock, stop, time, is_urgent);
              }};
}

/// Returns the input for the same snapshot without the newest one, which is damaged, as recovery
/// does: from the one before, or from the first record on. Null if not all of that is there: a
/// restored backup has nothing older than its snapshot.
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

/// Records that no snapshot was made. Returns whether to log it: for lack of file descriptors it
/// may be tried several times a second.
bool LocalJournal::note_no_snapshot(SnapshotPolicy::Situation then, const CompactionFault& why) {
  const std::string unfinished = unfinished_snapshot_name(then.last_index);
  const bool did_not_fit = why.kind == OpenFault::Kind::disk_full;
  // Other writers may have used space in the meantime, and may free it again. Measured before the
  // file is removed: some file systems free its space only later.
  if (const auto free = files_.free_space(options_.directory); did_not_fit && free) {
    then.free_bytes = std::min(then.free_bytes, *free + size_of(unfinished));
  }
  const auto removed = files_.remove(in_directory(options_.directory, unfinished));
  static_cast<void>(removed);  // a leftover is removed at the next start
  const std::lock_guard lock{mutex_};
  const bool is_news = !why.may_pass || !snapshot_policy_.is_put_off();
  if (did_not_fit || why.may_pass) {
    snapshot_policy_.note_put_off(then, did_not_fit);
  } else {
    snapshot_policy_.note_unreadable_file();
  }
  ++status_.snapshots_failed;
  return is_news;
}

/// Records a new snapshot, which replaces the newest one if that is bad.
void LocalJournal::note_snapshot(Index index, std::uint64_t bytes, std::chrono::nanoseconds took,
                                 std::uint64_t ends, bool newest_is_bad) {
  const std::lock_guard lock{mutex_};
  snapshot_policy_.note_made();
  snapshot_bytes_ = bytes;
  snapshot_ends_ = ends;
  ++status_.snapshots_made;
  status_.snapshot_took = took;
  status_.snapshot_made_at = std::chrono::system_clock::now();
  if (newest_is_bad) snapshots_.pop_back();
  snapshots_.push_back(index);
}

Result<void> LocalJournal::remove_covered() {
  std::unique_lock lock{mutex_};
  if (snapshots_.empty()) return {};
  if (snapshots_.size() > 2) snapshots_.erase(snapshots_.begin(), snapshots_.end() - 2);
  const std::vector<Index> kept = snapshots_;
  // The first snapshot needs every segment: nothing else is there if it is damaged.
  const Index covered_index = kept.size() < 2 ? 0 : kept.front();
  std::vector<std::string> names;
  std::erase_if(sealed_, [&](const SealedSegment& segment) {
    const bool is_covered = segment.last_index <= covered_index;
    if (is_covered) names.push_back(segment_name(segment.first_index));
    return is_covered;
  });
  lock.unlock();
  const auto listed = files_.list(options_.directory);
  if (!listed && !is_short_of_descriptors(listed.error().code)) return fault(listed.error());
  StoreFiles found;  // otherwise they are looked for after the next snapshot
  if (listed) found = sort_files(*listed);
  for (const Index index : found.snapshots) {
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
