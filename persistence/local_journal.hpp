#pragma once

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include "persistence/compaction.hpp"
#include "persistence/journal.hpp"
#include "persistence/segment_preparer.hpp"
#include "persistence/snapshot_policy.hpp"
#include "persistence/store_opening.hpp"

namespace locker::persistence {

/// The journal in a directory of this machine: segments, and snapshots beside them. FORMAT.md has
/// the files, and by which rules ("Room") a full disk lets go of all that is held. What a crash at
/// any instruction leaves is what open() can read.
///
/// A thread of its own prepares the next segment, another one makes snapshots, and with
/// Durability::interval one syncs, so that append() does none of it.
class LocalJournal final : public Journal {
 public:
  using Clock = std::chrono::steady_clock;

  struct Options {
    std::string directory;
    Durability durability = Durability::always;
    std::chrono::milliseconds sync_interval{1000};
    /// Length of the largest segments; rounded down to a power of two.
    std::uint64_t segment_bytes = std::uint64_t{64} << 20U;
    /// A source of numbers that nobody can guess. Any thread.
    std::function<std::uint64_t()> random_number;
    /// Told what is odd but no reason to stop. Any thread.
    std::function<void(std::string_view)> on_warning;
    /// Told when a background thread met an error after which the process must end; the process
    /// is aborted if it returns.
    std::function<void(const core::Fault&)> on_failure;
    /// False: no thread; run_background() does its work. For tests on a simulated disk.
    bool background = true;
  };

  /// Opens the store or makes it, and passes every record on to `on_record`. `files` must outlive
  /// the journal, and is for one at a time: it holds the directory. When the directory is moved,
  /// exchanged or removed under the journal, that is a failure; a moved store is whole.
  [[nodiscard]] static OpenResult<std::unique_ptr<LocalJournal>> open(
      FileSystem& files, const Options& options, const RecordVisitor& on_record,
      Recovered& recovered);
  /// Ends the threads and syncs. What was appended with Durability::always is durable already.
  ~LocalJournal() override;
  LocalJournal(const LocalJournal&) = delete;
  LocalJournal& operator=(const LocalJournal&) = delete;

  [[nodiscard]] Result<void> append(std::string_view records, std::uint32_t count) override;
  /// Makes all that was appended durable whatever the durability. Blocks; otherwise as append, and
  /// not beside it.
  [[nodiscard]] Result<void> barrier();
  [[nodiscard]] core::Room room_for(std::size_t bytes, bool reserved,
                                    std::size_t ends) const override;

  /// What the files take, and how snapshots went since the start.
  struct Status {
    std::uint64_t segments = 0;
    std::uint64_t segment_bytes = 0;  ///< Of all of them.
    std::uint64_t snapshots = 0;
    std::uint64_t snapshot_bytes = 0;  ///< Of the newest; 0 without one.
    std::uint64_t snapshots_made = 0;
    std::uint64_t snapshots_failed = 0;
    bool makes_snapshots = true;  ///< False: the last one could not be made, and none was since.
    std::chrono::nanoseconds snapshot_took{0};  ///< The last one that was made.
    std::chrono::system_clock::time_point snapshot_made_at{};
    std::uint64_t free_bytes = 0;  ///< Of the disk, for this user; 0 also when it does not say.
  };
  /// Any thread; does not wait for the disk's syncs.
  [[nodiscard]] Status status() const;

  /// For how long the write or the sync that has lasted longest has been under way, with
  /// Durability::interval also a sync in the background; zero: none is. Any thread; takes no lock.
  [[nodiscard]] std::chrono::nanoseconds write_age(Clock::time_point now) const;

  /// One round of the background threads' work. REQUIRES: there are none.
  [[nodiscard]] Result<void> run_background();

 private:
  /// Of the next segment. Changed under the mutex only.
  enum class Space {
    preparing,  ///< Or about to be, by the preparing thread.
    prepared,   ///< `prepared_` is there.
    taken,      ///< Its name is changed: by append(), which makes a segment of it, or because a
                ///< larger one takes its place.
    full,       ///< The disk has no room for it; tried again now and then.
    waiting,    ///< As full, but a snapshot is being made, which frees room.
  };

  LocalJournal(FileSystem& files, const Options& options, OpenedStore opened,
               std::unique_ptr<File> file);

  [[nodiscard]] static core::Fault fault(const IoError& error) { return {error.message + "."}; }

  // On the appending thread.
  [[nodiscard]] IoResult<void> begin_next_segment();
  [[nodiscard]] IoResult<PreparedSegment> take_prepared();

  // The background threads, local_journal_background.cpp.
  void start_threads();
  void end_threads();
  void prepare_and_watch(const std::stop_token& stop);
  void compact_when_told(const std::stop_token& stop);
  void sync_now_and_then(const std::stop_token& stop);
  void end_if_failed(const Result<void>& done) const;
  [[nodiscard]] Result<void> check_directory() const;
  [[nodiscard]] Result<void> prepare_next(const std::stop_token& stop);
  [[nodiscard]] IoResult<PreparedSegment> prepare_for_ends();
  [[nodiscard]] Result<void> prepare_larger(const std::stop_token& stop);
  void warn_of_full_disk(const IoError& error);
  void tell_of_space();
  void look_for_room();
  /// As room_for() the largest lock beside all that is held, but for want of a place.
  [[nodiscard]] bool refuses_locks() const;
  [[nodiscard]] Result<void> sync_if_due();
  // REQUIRES: the mutex is held.
  [[nodiscard]] bool has_work() const;
  [[nodiscard]] bool has_no_next_segment() const {
    return space_ == Space::full || space_ == Space::waiting;
  }
  void note_prepared(PreparedSegment prepared);
  /// Beside a segment: a snapshot like the last one frees the rest.
  [[nodiscard]] std::uint64_t spare_wanted() const { return snapshot_bytes_ + spare_bytes_min; }

  // Snapshots, local_journal_snapshots.cpp.
  [[nodiscard]] Result<void> compact_if_due(const std::stop_token& stop);
  [[nodiscard]] Result<void> make_snapshot(CompactionInput input,
                                           const SnapshotPolicy::Situation& now,
                                           const std::stop_token& stop);
  [[nodiscard]] Pace pace_of(const std::stop_token& stop);
  [[nodiscard]] std::optional<CompactionInput> without_newest_snapshot(CompactionInput input) const;
  [[nodiscard]] std::uint64_t freed_by_next_snapshot() const;
  /// 0 also when it is not known.
  [[nodiscard]] std::uint64_t size_of(const std::string& name) const;
  [[nodiscard]] bool note_no_snapshot(SnapshotPolicy::Situation then, const CompactionFault& why);
  void note_snapshot(Index index, std::uint64_t bytes, std::chrono::nanoseconds took,
                     std::uint64_t ends, bool newest_is_bad);
  [[nodiscard]] Result<void> remove_covered();
  // REQUIRES: the mutex is held.
  [[nodiscard]] std::span<const SealedSegment> segments_since_snapshot() const;
  [[nodiscard]] std::span<const SealedSegment> segments_to_compact() const;
  /// What the next snapshot takes, by what was held at the last one. Nothing that is promised rests
  /// on it.
  [[nodiscard]] std::uint64_t expected_snapshot_bytes() const;

  FileSystem& files_;
  const Options options_;
  const std::unique_ptr<FileLock> lock_;
  const std::unique_ptr<FileLock> identity_lock_;
  const StoreId store_id_;

  // Of the appending thread alone.
  SegmentHeader segment_;        ///< Of the one that is written.
  std::uint64_t segment_bytes_;  ///< Of its file.
  std::uint64_t offset_;         ///< Behind its last frame.
  std::uint32_t previous_;       ///< Checksum of that frame.
  std::string frame_;            ///< The bytes of one, kept for the memory.
  Index written_index_;          ///< Of the last record.

  // Of the preparing thread alone.
  bool has_tried_ = false;   ///< To prepare one, since the start.
  bool has_warned_ = false;  ///< Of a full disk, which it still is.
  /// Before a larger one is tried again, which did not fit whatever the disk said was free; else 0.
  std::uint64_t larger_needs_free_ = 0;

  // Read by room_for() without a lock.
  std::atomic<std::uint64_t> room_{0};           ///< Bytes behind the last frame.
  std::atomic<std::uint64_t> capacity_{0};       ///< Length of the segment that is written.
  std::atomic<std::uint64_t> prepared_room_{0};  ///< Bytes for frames in the prepared one, or 0.
  /// Bytes that the segments after those two can be made of, when the disk was looked at last.
  /// Stays 0 from when it was full until the next one is prepared.
  std::atomic<std::uint64_t> later_room_{0};
  /// Records that end all that was held when somebody asked last for room: more than the locks and
  /// leases. Written by room_for().
  mutable std::atomic<std::uint64_t> ends_{ends_unknown};
  std::atomic<Space> space_{Space::preparing};
  std::atomic<Index> synced_index_;

  // When what is under way began.
  static constexpr Clock::time_point never = Clock::time_point::max();
  std::atomic<Clock::time_point> append_began_{never};
  std::atomic<Clock::time_point> sync_began_{never};  ///< In the background.

  mutable std::mutex mutex_;  ///< Over all that follows.
  std::condition_variable_any wake_;
  /// The segment that is written; shared with a sync under way. Changed by the appending thread
  /// alone, under the mutex; that thread reads it without.
  std::shared_ptr<File> file_;
  Index appended_index_;
  std::optional<PreparedSegment> prepared_;
  std::uint64_t next_segment_bytes_;
  std::vector<SealedSegment> sealed_;
  std::vector<Index> snapshots_;  ///< At most two, ascending.
  std::uint64_t snapshot_bytes_ = 0;
  std::uint64_t snapshot_ends_ = ends_unknown;  ///< As SealedSegment::ends, where it stands.
  /// Not so much is free as a segment of the wanted size wants beside it.
  bool is_tight_ = false;
  std::uint64_t free_when_tried_ = 0;  ///< The next segment, which did not fit.
  /// Locks are refused for want of room that the next snapshot is expected to make.
  bool makes_room_ = false;
  Status status_;  ///< What it says of snapshots that were made, or were not.
  SnapshotPolicy snapshot_policy_;
  bool is_compacting_ = false;  ///< Or told to.
  /// Of a snapshot that is made, when it was begun.
  std::optional<SnapshotPolicy::Situation> under_way_;

  std::jthread preparer_;   ///< Prepares, and tells the next one when a snapshot is due.
  std::jthread compactor_;  ///< Can be at a snapshot for long.
  std::jthread syncer_;     ///< With Durability::interval.
};

}  // namespace locker::persistence
