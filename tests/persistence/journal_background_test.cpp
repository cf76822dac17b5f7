// Tests of the journal with its background threads, on a disk whose syncs take a while.

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <mutex>
#include <thread>
#include <utility>

#include "persistence/snapshot_format.hpp"
#include "tests/persistence/journal_fixture.hpp"

namespace locker::persistence {
namespace {

using namespace std::chrono_literals;

constexpr auto patience = 60s;

/// A simulated disk that several threads may use.
class SharedDisk final : public FileSystem {
 public:
  explicit SharedDisk(test::SimulatedDisk& disk) : disk_(disk) {}

  IoResult<std::unique_ptr<File>> open(const std::string& path, Access access) override {
    std::unique_lock lock{mutex_};
    if (path.find("snapshot") != std::string::npos && access != Access::write) {
      is_at_snapshot_ = true;
      changed_.notify_all();
      changed_.wait(lock, [this] { return !snapshots_take_long_; });
    }
    if (has_no_room_for_snapshots_ && path.find("snapshot") != std::string::npos) {
      const boost::system::error_code code(ENOSPC, boost::system::system_category());
      return IoError{code, path + ": " + code.message()};
    }
    auto file = disk_.open(path, access);
    if (!file) return file.error();
    // Long enough for the thread to wake while a prepared segment becomes part of the journal.
    const bool is_prepared = path.find(prepared_name) != std::string::npos;
    return std::unique_ptr<File>(std::make_unique<SharedFile>(
        *this, std::move(*file), is_prepared ? 10 * sync_takes : sync_takes));
  }
  IoResult<void> rename(const std::string& from, const std::string& to) override {
    std::unique_lock lock{mutex_};
    if (from.find(slow_names_) != std::string::npos) {
      is_at_slow_name_ = true;
      changed_.notify_all();
      changed_.wait(lock, [&] { return from.find(slow_names_) == std::string::npos; });
    }
    return disk_.rename(from, to);
  }
  IoResult<void> remove(const std::string& path) override {
    const std::lock_guard lock{mutex_};
    return disk_.remove(path);
  }
  IoResult<std::vector<std::string>> list(const std::string& directory) override {
    const std::lock_guard lock{mutex_};
    return disk_.list(directory);
  }
  IoResult<void> make_directory(const std::string& path) override {
    const std::lock_guard lock{mutex_};
    return disk_.make_directory(path);
  }
  IoResult<void> sync_directory(const std::string& path) override {
    std::this_thread::sleep_for(sync_takes);
    const std::lock_guard lock{mutex_};
    return disk_.sync_directory(path);
  }
  IoResult<std::unique_ptr<FileLock>> lock(const std::string& path, Locking locking) override {
    const std::lock_guard lock{mutex_};
    return disk_.lock(path, locking);
  }
  IoResult<std::uint64_t> free_space(const std::string& directory) override {
    const std::lock_guard lock{mutex_};
    ++free_space_calls_;
    return disk_.free_space(directory);
  }
  IoResult<void> hold_directory(const std::string& path) override {
    const std::lock_guard lock{mutex_};
    return disk_.hold_directory(path);
  }
  IoResult<void> check_held_directory() override {
    const std::lock_guard lock{mutex_};
    return disk_.check_held_directory();
  }

  void have_room_for_snapshots(bool has) {
    const std::lock_guard lock{mutex_};
    has_no_room_for_snapshots_ = !has;
  }
  /// While set, a snapshot in progress does not finish.
  void let_snapshots_take_long(bool do_so) {
    const std::lock_guard lock{mutex_};
    snapshots_take_long_ = do_so;
    changed_.notify_all();
  }
  /// Holds back renames of complete files with `of` in their name, until called with another value.
  void let_names_wait(std::string_view of) {
    const std::lock_guard lock{mutex_};
    slow_names_ = of;
    changed_.notify_all();
  }
  void let_names_wait_no_more() { let_names_wait("no such name"); }
  /// While set, no sync of a file returns.
  void let_syncs_hang(bool do_so) {
    const std::lock_guard lock{mutex_};
    syncs_hang_ = do_so;
    changed_.notify_all();
  }
  void wait_for_slow_name() {
    std::unique_lock lock{mutex_};
    changed_.wait(lock, [this] { return is_at_slow_name_; });
  }
  [[nodiscard]] bool is_at_snapshot() {
    const std::lock_guard lock{mutex_};
    return is_at_snapshot_;
  }
  void wait_for_snapshot() {
    std::unique_lock lock{mutex_};
    changed_.wait(lock, [this] { return is_at_snapshot_; });
  }
  /// Sets the duration of each further read.
  void let_reads_take(std::chrono::milliseconds time) {
    const std::lock_guard lock{mutex_};
    reads_take_ = time;
    reads_ = 0;
  }
  void wait_for_reads(int count) {
    std::unique_lock lock{mutex_};
    changed_.wait(lock, [&] { return reads_ >= count; });
  }
  [[nodiscard]] int reads() {
    const std::lock_guard lock{mutex_};
    return reads_;
  }
  [[nodiscard]] int syncs() {
    const std::lock_guard lock{mutex_};
    return syncs_;
  }
  void limit_space(std::uint64_t bytes) {
    const std::lock_guard lock{mutex_};
    disk_.limit_space(bytes);
  }
  /// Limits the space as soon as the next query of the free space has been answered.
  void limit_space_after_next_look(std::uint64_t bytes) {
    const std::lock_guard lock{mutex_};
    disk_.limit_space_at_look(2, bytes);
  }
  [[nodiscard]] int free_space_calls() {
    const std::lock_guard lock{mutex_};
    return free_space_calls_;
  }

 private:
  static constexpr auto sync_takes = 1ms;

  std::chrono::milliseconds begin_reading() {
    const std::lock_guard lock{mutex_};
    ++reads_;
    changed_.notify_all();
    return reads_take_;
  }

  class SharedFile final : public File {
   public:
    SharedFile(SharedDisk& disk, std::unique_ptr<File> file, std::chrono::milliseconds sync_takes)
        : disk_(disk), file_(std::move(file)), sync_takes_(sync_takes) {}
    ~SharedFile() override {
      const std::lock_guard lock{disk_.mutex_};
      file_.reset();
    }
    IoResult<void> write_at(std::uint64_t offset, std::string_view bytes) override {
      const std::lock_guard lock{disk_.mutex_};
      return file_->write_at(offset, bytes);
    }
    IoResult<std::size_t> read_at(std::uint64_t offset, std::span<char> bytes) override {
      std::this_thread::sleep_for(disk_.begin_reading());
      const std::lock_guard lock{disk_.mutex_};
      return file_->read_at(offset, bytes);
    }
    IoResult<void> sync() override {
      std::this_thread::sleep_for(sync_takes_);
      std::unique_lock lock{disk_.mutex_};
      disk_.changed_.wait(lock, [this] { return !disk_.syncs_hang_; });
      ++disk_.syncs_;
      return file_->sync();
    }
    IoResult<void> allocate(std::uint64_t bytes) override {
      const std::lock_guard lock{disk_.mutex_};
      return file_->allocate(bytes);
    }
    [[nodiscard]] IoResult<std::uint64_t> size() const override {
      const std::lock_guard lock{disk_.mutex_};
      return file_->size();
    }

   private:
    SharedDisk& disk_;
    std::unique_ptr<File> file_;
    const std::chrono::milliseconds sync_takes_;
  };

  test::SimulatedDisk& disk_;
  std::mutex mutex_;
  std::condition_variable changed_;
  bool has_no_room_for_snapshots_ = false;
  bool snapshots_take_long_ = false;
  bool is_at_snapshot_ = false;
  std::string slow_names_ = "no such name";
  bool is_at_slow_name_ = false;
  bool syncs_hang_ = false;
  std::chrono::milliseconds reads_take_{0};
  int reads_ = 0;
  int syncs_ = 0;
  int free_space_calls_ = 0;
};

class JournalBackgroundTest : public JournalTest {
 protected:
  std::unique_ptr<LocalJournal> start(Durability durability,
                                      std::uint64_t segment_bytes = segment_bytes_min) {
    LocalJournal::Options options;
    options.directory = directory;
    options.durability = durability;
    options.sync_interval = 1ms;
    options.segment_bytes = segment_bytes;
    options.random_number = [this] { return ++last_number_; };
    options.on_warning = [](std::string_view) {};
    options.on_failure = [](const core::Fault& fault) { ADD_FAILURE() << fault.message; };
    auto journal =
        LocalJournal::open(files_, options, {[](auto&&...) { return true; }}, recovered_);
    if (journal) return std::move(*journal);
    ADD_FAILURE() << journal.error().message;
    return nullptr;
  }

  /// Appends until so many segments have begun, all of the same size.
  void fill_segments(LocalJournal& journal, int segments) {
    const core::Path path = long_path();
    const auto until = std::chrono::steady_clock::now() + patience;
    for (std::size_t bytes = 0; bytes < segments * segment_bytes_min;) {
      if (journal.room_for(core::record_bytes_max, false, 0) != core::Room::enough) {
        ASSERT_LT(std::chrono::steady_clock::now(), until) << "no room any more";
        std::this_thread::yield();
        continue;
      }
      std::string record;
      const core::Fence fence = ++fence_;
      core::append_record(core::Granted{{}, {fence, 0}, {}, "owner", path}, record);
      ASSERT_TRUE(journal.append(record, 1));
      bytes += record.size();
    }
  }

  template <typename Condition>
  static void wait_until(Condition is_so, const char* else_what) {
    const auto until = std::chrono::steady_clock::now() + patience;
    while (!is_so()) {
      ASSERT_LT(std::chrono::steady_clock::now(), until) << else_what;
      std::this_thread::sleep_for(1ms);
    }
  }

  static core::Path long_path() {
    core::Path path;
    for (int depth = 0; depth < 8; ++depth) {
      static_cast<void>(path.push_back(std::string(250, 's')));
    }
    return path;
  }

  SharedDisk files_{disk_};
  core::Fence fence_ = 0;
  std::atomic<std::uint64_t> last_number_{0};
};

TEST_F(JournalBackgroundTest, NothingIsLostWhereTheThreadWakesWhileASegmentIsBegun) {
  for (const Durability durability : {Durability::interval, Durability::always}) {
    if (const auto journal = start(durability)) fill_segments(*journal, 5);
    ASSERT_TRUE(start(Durability::always));
    EXPECT_EQ(recovered_.last_index, fence_);
  }
}

TEST_F(JournalBackgroundTest, WithAnIntervalASyncDoesNotWaitForASnapshot) {
  const auto journal = start(Durability::interval);
  ASSERT_TRUE(journal);
  files_.let_snapshots_take_long(true);
  fill_segments(*journal, 2);
  files_.wait_for_snapshot();
  const int before = files_.syncs();
  std::string record;
  core::append_record(core::Granted{{}, {++fence_, 0}, {}, "owner", {}}, record);
  EXPECT_TRUE(journal->append(record, 1));
  const auto until = std::chrono::steady_clock::now() + 10s;
  while (files_.syncs() == before && std::chrono::steady_clock::now() < until) {
    std::this_thread::sleep_for(1ms);
  }
  EXPECT_GT(files_.syncs(), before) << "a power cut would undo more than an interval";
  files_.let_snapshots_take_long(false);
}

TEST_F(JournalBackgroundTest, ItTellsForHowLongTheDiskHasNotAnswered) {
  const auto age_in_an_hour = [](const LocalJournal& journal) {
    return journal.write_age(LocalJournal::Clock::now() + 1h);
  };
  for (const Durability durability : {Durability::interval, Durability::always}) {
    const auto journal = start(durability);
    ASSERT_TRUE(journal);
    EXPECT_EQ(age_in_an_hour(*journal), 0s);
    files_.let_syncs_hang(true);
    std::string record;
    core::append_record(core::Granted{{}, {++fence_, 0}, {}, "owner", {}}, record);
    std::jthread appending([&] { EXPECT_TRUE(journal->append(record, 1)); });
    wait_until([&] { return age_in_an_hour(*journal) >= 1h; }, "nobody sees that it hangs");
    if (durability == Durability::interval) {
      appending.join();
      wait_until([&] { return age_in_an_hour(*journal) >= 1h; }, "the sync is not seen");
    }
    files_.let_syncs_hang(false);
    wait_until([&] { return age_in_an_hour(*journal) == 0s; }, "it does not see the answer");
  }
}

TEST_F(JournalBackgroundTest, LocksAreGrantedHoweverLongASnapshotTakes) {
  const auto journal = start(Durability::always);
  ASSERT_TRUE(journal);
  files_.let_snapshots_take_long(true);
  fill_segments(*journal, 2);
  files_.wait_for_snapshot();
  fill_segments(*journal, 5);
  EXPECT_EQ(journal->status().snapshots, 0U);
  files_.let_snapshots_take_long(false);
}

// Space that the snapshot has taken is not free, and must not be reserved a second time.
TEST_F(JournalBackgroundTest, BesideASnapshotThatIsWrittenTheNextSegmentIsMadeOfTheRest) {
  disk_.limit_space(4 * segment_bytes_min + snapshot_bytes_max(0) + spare_bytes_min + 10'000);
  files_.let_names_wait("snapshot");
  const auto journal = start(Durability::always);
  ASSERT_TRUE(journal);
  fill_segments(*journal, 1);
  files_.wait_for_slow_name();
  fill_segments(*journal, 2);
  EXPECT_EQ(journal->status().snapshots, 0U);
  files_.let_names_wait_no_more();
}

TEST_F(JournalBackgroundTest, NobodyWaitsForTheNameOfALargerSegment) {
  const std::uint64_t first = 2 * segment_bytes_min;
  disk_.limit_space(first + segment_bytes_min + spare_bytes_min + 10'000);
  files_.let_names_wait(larger_name);
  const auto journal = start(Durability::interval, first);
  ASSERT_TRUE(journal);
  wait_until([&] { return journal->status().free_bytes <= spare_bytes_min + 10'000; },
             "none is prepared");
  files_.limit_space(4 * first + spare_bytes_min);
  files_.wait_for_slow_name();
  std::atomic<bool> is_done = false;
  std::jthread asking([&] {
    static_cast<void>(journal->status());
    std::string record;
    core::append_record(core::Granted{{}, {++fence_, 0}, {}, "owner", {}}, record);
    EXPECT_TRUE(journal->append(record, 1));
    is_done = true;
  });
  wait_until([&] { return is_done.load(); }, "it waits for the disk");
  files_.let_names_wait_no_more();
}

/// On a disk with room for two segments and little more.
class FullDiskInBackgroundTest : public JournalBackgroundTest {
 protected:
  /// Opens a journal where two segments fit and a third does not. Null after a failure.
  std::unique_ptr<LocalJournal> start_on_small_disk() {
    disk_ = test::SimulatedDisk{};
    disk_.limit_space(2 * segment_bytes_min + spare_bytes_min + 10'000);
    auto journal = start(Durability::always);
    if (!journal) return nullptr;
    while (journal->status().free_bytes > spare_bytes_min + 10'000) {  // until one is prepared
      std::this_thread::sleep_for(1ms);
    }
    files_.limit_space(2 * segment_bytes_min + 10'000);
    return journal;
  }
  /// Appends until nothing more is accepted. Null after a failure.
  std::unique_ptr<LocalJournal> fill_disk() {
    auto journal = start_on_small_disk();
    if (!journal) return nullptr;
    const core::Path path = long_path();
    for (auto room = core::Room::enough; room != core::Room::none;) {
      room = journal->room_for(core::record_bytes_max, false, 0);
      if (room != core::Room::enough) continue;
      std::string record;
      core::append_record(core::Granted{{}, {++fence_, 0}, {}, "owner", path}, record);
      EXPECT_TRUE(journal->append(record, 1));
    }
    return journal;
  }

  static void wait_for_room(const LocalJournal& journal) {
    const auto has_room = [&] {
      return journal.room_for(core::record_bytes_max, false, 0) == core::Room::enough;
    };
    wait_until(has_room, "locks are refused for ever");
  }

  /// Room for one more segment, but not for a snapshot too.
  static constexpr std::uint64_t room_for_one_more =
      3 * segment_bytes_min + spare_bytes_min + 20'000;
};

// Otherwise the snapshot takes the room and frees nothing yet, because it is the first.
TEST_F(FullDiskInBackgroundTest, WhereThereIsRoomAgainTheNextSegmentComesBeforeASnapshot) {
  for (int round = 0; round < 6; ++round) {
    const auto journal = fill_disk();
    ASSERT_TRUE(journal);
    std::this_thread::sleep_for(std::chrono::milliseconds{40 * round});
    files_.limit_space(room_for_one_more);
    wait_for_room(*journal);
  }
}

TEST_F(FullDiskInBackgroundTest, TheSegmentComesFirstAlsoWhereTheRoomIsThereAfterItWasTried) {
  const auto journal = fill_disk();
  ASSERT_TRUE(journal);
  files_.limit_space_after_next_look(room_for_one_more);
  wait_for_room(*journal);
}

// The snapshot frees room only when it is complete, and that can take long.
TEST_F(FullDiskInBackgroundTest, WhileASnapshotIsMadeReleasesAreToldToWait) {
  files_.let_snapshots_take_long(true);
  const auto journal = start_on_small_disk();
  ASSERT_TRUE(journal);
  const core::Path path = long_path();
  bool is_refused = false;
  const auto room_for = [&](std::size_t bytes) {
    const core::Room room = journal->room_for(bytes, true, 0);
    is_refused = is_refused || room == core::Room::none;
    return room;
  };
  while (!files_.is_at_snapshot()) {
    if (room_for(core::record_bytes_max) != core::Room::enough) continue;
    std::string record;
    core::append_record(core::Granted{{}, {++fence_, 0}, {}, "owner", path}, record);
    ASSERT_TRUE(journal->append(record, 1));
  }
  for (const auto until = std::chrono::steady_clock::now() + 500ms;
       std::chrono::steady_clock::now() < until;) {
    EXPECT_NE(room_for(segment_bytes_min), core::Room::enough);
    std::this_thread::sleep_for(1ms);
  }
  EXPECT_FALSE(is_refused);
  files_.let_snapshots_take_long(false);
}

TEST_F(JournalBackgroundTest, AStopDoesNotWaitForASnapshot) {
  disk_.limit_space(128 * segment_bytes_min);
  files_.have_room_for_snapshots(false);
  auto journal = start(Durability::always);
  ASSERT_TRUE(journal);
  fill_segments(*journal, 10);
  files_.let_reads_take(250ms);
  files_.have_room_for_snapshots(true);
  files_.limit_space(256 * segment_bytes_min);
  files_.wait_for_reads(2);
  const int before = files_.reads();
  journal.reset();
  EXPECT_LT(files_.reads() - before, 8) << "all segments were read, twice";
  files_.let_reads_take(0ms);
  ASSERT_TRUE(start(Durability::always));
  EXPECT_EQ(recovered_.last_index, fence_);
}

TEST_F(JournalBackgroundTest, ASnapshotThatDoesNotFitIsTriedNowAndThen) {
  const std::uint64_t space = 64 * segment_bytes_min;
  disk_.limit_space(space);
  files_.have_room_for_snapshots(false);
  const auto journal = start(Durability::always);
  ASSERT_TRUE(journal);
  fill_segments(*journal, 4);
  wait_until([&] { return journal->status().snapshots_failed != 0; }, "no snapshot was tried");
  const int before = files_.free_space_calls();
  std::this_thread::sleep_for(500ms);
  EXPECT_LE(files_.free_space_calls() - before, 10);

  files_.have_room_for_snapshots(true);
  files_.limit_space(2 * space);
  wait_until([&] { return journal->status().snapshots_made != 0; }, "none is made any more");
}

// The room is then the same as before they came, and nothing has been sealed since.
TEST_F(JournalBackgroundTest, ASnapshotWhoseRoomOthersHadForAMomentIsMadeWhenTheyHaveLeft) {
  const std::uint64_t space = 64 * segment_bytes_min;
  disk_.limit_space(space);
  files_.let_snapshots_take_long(true);
  const auto journal = start(Durability::always);
  ASSERT_TRUE(journal);
  fill_segments(*journal, 1);
  files_.wait_for_snapshot();
  files_.limit_space(0);
  files_.let_snapshots_take_long(false);
  wait_until([&] { return journal->status().snapshots_failed != 0; }, "it needs no room");
  files_.limit_space(space);
  wait_until([&] { return journal->status().snapshots_made != 0; }, "none is made any more");
}

/// Half of a snapshot is made, and the reads for the other half are slow.
class SnapshotPaceTest : public JournalBackgroundTest {
 protected:
  void begin() {
    disk_.limit_space(64 * segment_bytes_min);
    files_.let_snapshots_take_long(true);
    journal_ = start(Durability::none);
    ASSERT_TRUE(journal_);
    fill_segments(*journal_, 1);
    files_.wait_for_snapshot();
    files_.let_reads_take(read_takes);
  }
  void finish() {
    files_.let_snapshots_take_long(false);
    const auto began = std::chrono::steady_clock::now();
    for (; journal_->status().snapshots_made == 0; ++waits_)
      std::this_thread::sleep_for(read_takes);
    took_ = std::chrono::steady_clock::now() - began;
    reads_ = files_.reads();
    files_.let_reads_take(0ms);
  }

  static constexpr auto read_takes = 200ms;
  std::unique_ptr<LocalJournal> journal_;
  int waits_ = 0;  ///< For the other half, each as long as a read.
  int reads_ = 0;  ///< For the other half.
  std::chrono::nanoseconds took_{0};
};

TEST_F(SnapshotPaceTest, ASnapshotRests) {
  begin();
  finish();
  EXPECT_GE(took_, 3 * reads_ * read_takes);
}

// The refusals begin while the snapshot is in progress.
TEST_F(SnapshotPaceTest, ItDoesNotRestWhileLocksAreRefusedForWantOfRoom) {
  begin();
  ASSERT_NE(journal_->room_for(core::record_bytes_max, false, 1'000'000), core::Room::enough);
  finish();
  EXPECT_LT(waits_, 3 * reads_);
}

// Otherwise each snapshot would have more to read than the one before.
TEST_F(SnapshotPaceTest, ItDoesNotRestWhereTheJournalGrowsFasterThanItIsMade) {
  begin();
  fill_segments(*journal_, 3);
  finish();
  EXPECT_LT(waits_, 3 * reads_);
}

}  // namespace
}  // namespace locker::persistence
