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

/// The journal in a local directory: segments and snapshots. FORMAT.md specifies the files, and the
/// rules ("Room") by which everything that is held can be released on a full disk. open() can read
/// whatever a crash at any instruction leaves.
///
/// One background thread prepares the next segment, another makes snapshots, and with
/// Durability::interval a third one syncs, so that append() does none of this.
class LocalJournal final : public Journal {
 public:
  using Clock = std::chrono::steady_clock;

  struct Options {
    std::string directory;
    Durability durability = Durability::always;
    std::chrono::milliseconds sync_interval{1000};
    /// The length of the largest segments; rounded down to a power of two.
    std::uint64_t segment_bytes = std::uint64_t{64} << 20U;
    /// Returns unpredictable numbers. Called on any thread.
    std::function<std::uint64_t()> random_number;
    /// Called with each warning. Called on any thread.
    std::function<void(std::string_view)> on_warning;
    /// Called when a background thread meets an error after which the process must end; the process
    /// is aborted if it returns.
    std::function<void(const core::Fault&)> on_failure;
    /// False: no threads; run_background() does their work. For tests on a simulated disk.
    bool background = true;
  };

  /// Opens the store, or creates it, and passes every record to `on_record`. `files` must outlive
  /// the journal, and serves one journal at a time, because it holds the directory. If the
  /// directory is moved, replaced or removed while the journal is open, the journal fails; a moved
  /// store is intact.
  [[nodiscard]] static OpenResult<std::unique_ptr<LocalJournal>> open(
      FileSystem& files, const Options& options, const RecordVisitor& on_record,
      Recovered& recovered);
  /// Stops the threads and syncs. What was appended with Durability::always is durable already.
  ~LocalJournal() override;
  LocalJournal(const LocalJournal&) = delete;
  LocalJournal& operator=(const LocalJournal&) = delete;

  [[nodiscard]] Result<void> append(std::string_view records, std::uint32_t count) override;
  /// Makes everything appended durable, whatever the durability. Blocks. REQUIRES: no append is in
  /// progress.
  [[nodiscard]] Result<void> barrier();
  [[nodiscard]] core::Room room_for(std::size_t bytes, bool reserved,
                                    std::size_t ends) const override;

  /// The size of the files, and statistics of snapshots since the start.
  struct Status {
    std::uint64_t segments = 0;
    std::uint64_t segment_bytes = 0;  ///< Of all segments.
    std::uint64_t snapshots = 0;
    std::uint64_t snapshot_bytes = 0;  ///< Of the newest; 0 if there is none.
    std::uint64_t snapshots_made = 0;
    std::uint64_t snapshots_failed = 0;
    bool makes_snapshots = true;  ///< False: the last attempt failed, and none has succeeded since.
    std::chrono::nanoseconds snapshot_took{0};  ///< Duration of the last successful one.
    std::chrono::system_clock::time_point snapshot_made_at{};
    std::uint64_t free_bytes = 0;  ///< Of the disk, for this user; 0 also if unknown.
  };
  /// Any thread; does not wait for syncs.
  [[nodiscard]] Status status() const;

  /// Returns the age of the oldest write or sync in progress, which with Durability::interval
  /// includes a background sync; zero if there is none. Any thread; takes no lock.
  [[nodiscard]] std::chrono::nanoseconds write_age(Clock::time_point now) const;

  /// Does one round of the background threads' work. REQUIRES: Options::background is false.
  [[nodiscard]] Result<void> run_background();

 private:
  /// State of the next segment. Changed only under the mutex.
  enum class Space {
    preparing,  ///< Or about to be prepared, by the preparing thread.
    prepared,   ///< `prepared_` is set.
    taken,  ///< Being renamed: append() makes it the current segment, or a larger one replaces it.
    full,   ///< The disk has no room for it; retried at intervals.
    waiting,  ///< As full, but a snapshot is in progress and will free room.
  };

  LocalJournal(FileSystem& files, const Options& options, OpenedStore opened,
               std::unique_ptr<File> file);

  [[nodiscard]] static core::Fault fault(const IoError& error) { return {error.message + "."}; }

  // Called on the appending thread.
  [[nodiscard]] IoResult<void> begin_next_segment();
  [[nodiscard]] IoResult<PreparedSegment> take_prepared();

  // The background threads; in local_journal_background.cpp.
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
  /// Whether room_for() would refuse the largest lock given everything that is held. Ignores
  /// whether the lock fits into one segment.
  [[nodiscard]] bool refuses_locks() const;
  [[nodiscard]] Result<void> sync_if_due();
  // REQUIRES: the mutex is held.
  [[nodiscard]] bool has_work() const;
  [[nodiscard]] bool has_no_next_segment() const {
    return space_ == Space::full || space_ == Space::waiting;
  }
  void note_prepared(PreparedSegment prepared);
  /// What a new segment must leave free. A snapshot like the last one frees the rest.
  [[nodiscard]] std::uint64_t spare_wanted() const { return snapshot_bytes_ + spare_bytes_min; }

  // Snapshots; in local_journal_snapshots.cpp.
  [[nodiscard]] Result<void> compact_if_due(const std::stop_token& stop);
  [[nodiscard]] Result<void> make_snapshot(CompactionInput input,
                                           const SnapshotPolicy::Situation& now,
                                           const std::stop_token& stop);
  [[nodiscard]] Pace pace_of(const std::stop_token& stop);
  [[nodiscard]] std::optional<CompactionInput> without_newest_snapshot(CompactionInput input) const;
  [[nodiscard]] std::uint64_t freed_by_next_snapshot() const;
  /// Returns 0 also if the size is unknown.
  [[nodiscard]] std::uint64_t size_of(const std::string& name) const;
  [[nodiscard]] bool note_no_snapshot(SnapshotPolicy::Situation then, const CompactionFault& why);
  void note_snapshot(Index index, std::uint64_t bytes, std::chrono::nanoseconds took,
                     std::uint64_t ends, bool newest_is_bad);
  [[nodiscard]] Result<void> remove_covered();
  // REQUIRES: the mutex is held.
  [[nodiscard]] std::span<const SealedSegment> segments_since_snapshot() const;
  [[nodiscard]] std::span<const SealedSegment> segments_to_compact() const;
  /// Estimates the size of the next snapshot from what was held at the last one. No guarantee
  /// depends on it.
  [[nodiscard]] std::uint64_t expected_snapshot_bytes() const;

  FileSystem& files_;
  const Options options_;
  const std::unique_ptr<FileLock> lock_;
  const std::unique_ptr<FileLock> identity_lock_;
  const StoreId store_id_;

  // Used only by the appending thread.
  SegmentHeader segment_;        ///< Of the current segment.
  std::uint64_t segment_bytes_;  ///< Of the current segment's file.
  std::uint64_t offset_;         ///< After the last frame.
  std::uint32_t previous_;       ///< Checksum of that frame.
  std::string frame_;            ///< The encoded frame; a member to reuse its memory.
  Index written_index_;          ///< Of the last record written.

  // Used only by the preparing thread.
  bool has_tried_ = false;   ///< To prepare a segment, since the start.
  bool has_warned_ = false;  ///< Of a full disk, and it still is full.
  /// The free space at which a larger segment is tried again, after one did not fit although the
  /// disk reported enough; else 0.
  std::uint64_t larger_needs_free_ = 0;

  // Read by room_for() without a lock.
  std::atomic<std::uint64_t> room_{0};           ///< Bytes after the last frame.
  std::atomic<std::uint64_t> capacity_{0};       ///< Length of the current segment.
  std::atomic<std::uint64_t> prepared_room_{0};  ///< Bytes for frames in the prepared one, or 0.
  /// Bytes available for the segments after those two, when the disk was last examined. Stays 0
  /// from when the disk was full until the next segment is prepared.
  std::atomic<std::uint64_t> later_room_{0};
  /// The number of records that would end everything held, at the last call of room_for(), which
  /// writes it: at least the number of locks and leases.
  mutable std::atomic<std::uint64_t> ends_{ends_unknown};
  std::atomic<Space> space_{Space::preparing};
  std::atomic<Index> synced_index_;

  // When the operations in progress began.
  static constexpr Clock::time_point never = Clock::time_point::max();
  std::atomic<Clock::time_point> append_began_{never};
  std::atomic<Clock::time_point> sync_began_{never};  ///< In the background.

  mutable std::mutex mutex_;  ///< Guards everything below.
  std::condition_variable_any wake_;
  /// The current segment; shared with a sync in progress. Only the appending thread changes it,
  /// under the mutex; that thread reads it without.
  std::shared_ptr<File> file_;
  Index appended_index_;
  std::optional<PreparedSegment> prepared_;
  std::uint64_t next_segment_bytes_;
  std::vector<SealedSegment> sealed_;
  std::vector<Index> snapshots_;  ///< At most two, ascending.
  std::uint64_t snapshot_bytes_ = 0;
  std::uint64_t snapshot_ends_ = ends_unknown;  ///< As SealedSegment::ends, at its index.
  /// Less is free than a segment of the wanted size requires.
  bool is_tight_ = false;
  std::uint64_t free_when_tried_ = 0;  ///< When the next segment did not fit.
  /// Locks are refused for lack of room that the next snapshot is expected to make.
  bool makes_room_ = false;
  Status status_;  ///< Only its members about attempted snapshots.
  SnapshotPolicy snapshot_policy_;
  bool is_compacting_ = false;  ///< Or has been told to.
  /// Of the snapshot in progress, when it began.
  std::optional<SnapshotPolicy::Situation> under_way_;

  std::jthread preparer_;  ///< Prepares segments, and signals the compactor when a snapshot is due.
  std::jthread compactor_;  ///< A snapshot can take long.
  std::jthread syncer_;     ///< Only with Durability::interval.
};

}  // namespace locker::persistence
