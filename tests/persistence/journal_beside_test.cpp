// Tests of operations concurrent with the journal: a snapshot, a backup. The journal continues
// between any two of their disk calls.

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <functional>
#include <iterator>
#include <set>
#include <utility>

#include "persistence/store_backup.hpp"
#include "tests/persistence/journal_fixture.hpp"

namespace locker::persistence {
namespace {

using test::SimulatedDisk;
using Survival = SimulatedDisk::Survival;

/// Forwards everything to a simulated disk, and calls a function before each call.
class WatchedDisk final : public FileSystem {
 public:
  explicit WatchedDisk(SimulatedDisk& disk) : disk_(disk) {}

  /// Sets the function to call before each call, except for calls that it makes itself.
  void set_before_call(std::function<void()> before_call) { before_call_ = std::move(before_call); }

  /// Whether a file was opened for reading since the last call of forget_reads().
  [[nodiscard]] bool has_read() const { return has_read_; }
  void forget_reads() { has_read_ = false; }

  IoResult<std::unique_ptr<File>> open(const std::string& path, Access access) override {
    if (access == Access::read) has_read_ = true;
    tell();
    auto file = disk_.open(path, access);
    if (!file) return file.error();
    return std::unique_ptr<File>(std::make_unique<WatchedFile>(*this, std::move(*file)));
  }
  IoResult<void> rename(const std::string& from, const std::string& to) override {
    tell();
    return disk_.rename(from, to);
  }
  IoResult<void> remove(const std::string& path) override {
    tell();
    return disk_.remove(path);
  }
  IoResult<std::vector<std::string>> list(const std::string& directory) override {
    tell();
    return disk_.list(directory);
  }
  IoResult<void> make_directory(const std::string& path) override {
    tell();
    return disk_.make_directory(path);
  }
  IoResult<void> sync_directory(const std::string& path) override {
    tell();
    return disk_.sync_directory(path);
  }
  IoResult<std::unique_ptr<FileLock>> lock(const std::string& path, Locking locking) override {
    tell();
    return disk_.lock(path, locking);
  }
  IoResult<std::uint64_t> free_space(const std::string& directory) override {
    tell();
    return disk_.free_space(directory);
  }
  IoResult<void> hold_directory(const std::string& path) override {
    return disk_.hold_directory(path);
  }
  IoResult<void> check_held_directory() override { return disk_.check_held_directory(); }

 private:
  class WatchedFile final : public File {
   public:
    WatchedFile(WatchedDisk& disk, std::unique_ptr<File> file)
        : disk_(disk), file_(std::move(file)) {}
    IoResult<void> write_at(std::uint64_t offset, std::string_view bytes) override {
      disk_.tell();
      return file_->write_at(offset, bytes);
    }
    IoResult<std::size_t> read_at(std::uint64_t offset, std::span<char> bytes) override {
      // In pieces, so that a write can come in between.
      std::size_t done = 0;
      while (done < bytes.size()) {
        disk_.tell();
        const std::size_t piece = std::min<std::size_t>(read_piece, bytes.size() - done);
        const auto count = file_->read_at(offset + done, bytes.subspan(done, piece));
        if (!count) return count;
        done += *count;
        if (*count < piece) break;
      }
      return done;
    }
    IoResult<void> sync() override {
      disk_.tell();
      return file_->sync();
    }
    IoResult<void> allocate(std::uint64_t bytes) override {
      disk_.tell();
      return file_->allocate(bytes);
    }
    [[nodiscard]] IoResult<std::uint64_t> size() const override { return file_->size(); }

   private:
    static constexpr std::size_t read_piece = 64 * 1024;
    WatchedDisk& disk_;
    std::unique_ptr<File> file_;
  };

  void tell() {
    if (!before_call_ || std::exchange(is_telling_, true)) return;
    before_call_();
    is_telling_ = false;
  }

  SimulatedDisk& disk_;
  std::function<void()> before_call_;
  bool is_telling_ = false;
  bool has_read_ = false;
};

/// Large records, so that few calls fill segments; the locks held are computed on demand.
class JournalBesideTest : public JournalTest {
 protected:
  std::unique_ptr<LocalJournal> open_in(FileSystem& files, const std::string& in,
                                        Durability durability, std::set<core::Fence>& held) {
    LocalJournal::Options options;
    options.directory = in;
    options.durability = durability;
    options.segment_bytes = segment_bytes_;
    options.random_number = [this] { return random_(); };
    options.on_warning = [](std::string_view) {};
    options.on_failure = [](const core::Fault&) {};  // the destructor meets a disk that is off
    options.background = false;
    held.clear();
    auto journal = LocalJournal::open(
        files, options,
        {[&held](Index, const core::Record& record) {
           const auto* const ended = std::get_if<core::Ended>(&record);
           return ended == nullptr ? held.insert(std::get<core::Granted>(record).id.fence).second
                                   : held.erase(ended->id.fence) == 1;
         },
         [&held] { held.clear(); }},
        recovered_);
    if (journal) return std::move(*journal);
    fault_ = journal.error();
    return nullptr;
  }

  static core::Token token_of(core::Fence fence) {
    core::Token token;
    std::memcpy(token.bytes.data(), &fence, sizeof fence);
    return token;
  }

  /// Appends a frame with one record: a grant, or the end of a lock.
  bool append_one(LocalJournal& journal) {
    std::string record;
    if (!held_.empty() && random_() % 5 < 2) {
      const auto victim = std::next(held_.begin(), static_cast<int>(random_() % held_.size()));
      core::append_record(core::Ended{token_of(*victim), {*victim, 0}, core::End::released},
                          record);
      changes_.push_back(-static_cast<std::int64_t>(*victim));
      held_.erase(victim);
    } else {
      ++fence_;
      core::append_record(core::Granted{token_of(fence_), {fence_, 0}, {}, {}, {}, {}, {}, meta_},
                          record);
      changes_.push_back(static_cast<std::int64_t>(fence_));
      held_.insert(fence_);
    }
    if (!journal.append(record, 1)) return false;
    acknowledged_ = changes_.size();
    return true;
  }
  bool append_some(LocalJournal& journal, std::uint64_t count) {
    for (std::uint64_t i = 0; i < count; ++i) {
      if (!append_one(journal) || (i % 16 == 0 && !journal.run_background())) return false;
    }
    return true;
  }

  [[nodiscard]] std::set<core::Fence> held_at(Index index) const {
    std::set<core::Fence> held;
    for (Index at = 0; at < index; ++at) {
      const std::int64_t change = changes_[at];
      change > 0 ? static_cast<void>(held.insert(static_cast<core::Fence>(change)))
                 : static_cast<void>(held.erase(static_cast<core::Fence>(-change)));
    }
    return held;
  }
  void expect_whole(const std::set<core::Fence>& found, Index at_least, const std::string& what) {
    EXPECT_GE(recovered_.last_index, at_least) << what;
    ASSERT_LE(recovered_.last_index, changes_.size()) << what;
    EXPECT_EQ(found, held_at(recovered_.last_index)) << what;
  }
  void begin_anew() {
    disk_ = SimulatedDisk{};
    changes_.clear();
    held_.clear();
    acknowledged_ = 0;
  }
  /// Forgets the records that were not acknowledged and are not there.
  void go_on_from(Index index) {
    changes_.resize(index);
    held_ = held_at(index);
    acknowledged_ = index;
  }

  const std::string meta_ = std::string(core::meta_bytes_max, 'm');
  std::vector<std::int64_t> changes_;  // one per record: a fence that was granted, or minus it
  std::set<core::Fence> held_;
  core::Fence fence_ = 0;
  Index acknowledged_ = 0;
};

TEST_F(JournalBesideTest, APowerCutWhileASnapshotIsMadeLosesNothingOfWhatIsAppendedMeanwhile) {
  constexpr int rounds = 300;
  int cuts_at_snapshots = 0;
  for (int round = 0; round < rounds; ++round) {
    begin_anew();
    WatchedDisk files{disk_};
    std::set<core::Fence> found;
    bool was_at_snapshot = false;
    {
      const auto journal = open_in(files, directory, Durability::always, found);
      ASSERT_TRUE(journal) << fault_.message;
      files.forget_reads();  // forgets those of the start; from here on only a snapshot reads
      const auto snapshots_before = random_() % 3;
      bool works = true;
      bool is_planned = false;
      files.set_before_call([&] {
        if (!files.has_read()) return;
        if (!is_planned && journal->status().snapshots_made == snapshots_before) {
          disk_.cut_power_at(1 + random_() % 40);
          is_planned = true;
        }
        for (auto count = random_() % 16; works && count > 8; --count) works = append_one(*journal);
      });
      while (works) {
        for (int i = 0; works && i < 16; ++i) works = append_one(*journal);
        works = works && journal->run_background();
        was_at_snapshot = files.has_read();
        files.forget_reads();
      }
      files.set_before_call({});
    }
    ASSERT_TRUE(disk_.is_off());
    if (was_at_snapshot) ++cuts_at_snapshots;
    disk_.restart(static_cast<Survival>(random_() % 4), random_);
    const std::string what = "round " + std::to_string(round);
    {
      const auto journal = open_in(disk_, directory, Durability::always, found);
      ASSERT_TRUE(journal) << what << ": " << fault_.message;
      expect_whole(found, acknowledged_, what);
      if (HasFailure()) return;
      go_on_from(recovered_.last_index);
      ASSERT_TRUE(append_some(*journal, 100)) << what;
    }
    ASSERT_TRUE(open_in(disk_, directory, Durability::always, found)) << fault_.message;
    expect_whole(found, acknowledged_, what + ", gone on");
    if (HasFailure()) return;
  }
  EXPECT_GT(cuts_at_snapshots, rounds / 10);
}

TEST_F(JournalBesideTest, TheBackgroundLeavesASegmentAloneThatIsBegun) {
  WatchedDisk files{disk_};
  std::set<core::Fence> found;
  {
    const auto journal = open_in(files, directory, Durability::always, found);
    ASSERT_TRUE(journal) << fault_.message;
    bool works = true;
    files.set_before_call([&] { works = journal->run_background() && works; });
    while (acknowledged_ < 1'000) ASSERT_TRUE(append_one(*journal));
    EXPECT_TRUE(works);
    EXPECT_GT(journal->status().snapshots_made, 2U);
    files.set_before_call({});
  }
  ASSERT_TRUE(open_in(disk_, directory, Durability::always, found)) << fault_.message;
  expect_whole(found, acknowledged_, "begun beside the background");
}

// While the larger one is made, append() takes the smaller one that was prepared before.
class LargerSegmentTest : public JournalBesideTest {
 protected:
  /// Opens a journal whose next segment is small, because there was no room for a larger one, which
  /// there is now.
  std::unique_ptr<LocalJournal> open_before_a_larger_segment(FileSystem& files) {
    segment_bytes_ = 4 * segment_bytes_min;
    disk_.limit_space(5 * segment_bytes_min + spare_bytes_min + 10'000);
    std::set<core::Fence> found;
    auto journal = open_in(files, directory, Durability::always, found);
    if (!journal || !journal->run_background()) return nullptr;
    while (journal->room_for(segment_bytes_min, true, 0) == core::Room::enough) {
      if (!append_one(*journal)) return nullptr;
    }
    disk_.limit_space(64 * segment_bytes_min);
    return journal;
  }
};

TEST_F(LargerSegmentTest, IsThereWheneverItWasMade) {
  WatchedDisk files{disk_};
  const auto journal = open_before_a_larger_segment(files);
  ASSERT_TRUE(journal) << fault_.message;
  bool was_taken = false;
  files.set_before_call([&] {
    if (!disk_.has(in_directory(directory, larger_name))) return;
    while (!was_taken && append_one(*journal)) was_taken = journal->status().segments == 2;
  });
  ASSERT_TRUE(journal->run_background());
  files.set_before_call({});
  ASSERT_TRUE(was_taken);
  EXPECT_EQ(journal->room_for(segment_bytes_min, true, 0), core::Room::enough);
}

TEST_F(LargerSegmentTest, ThatWasTakenAtOnceIsNotTakenAgain) {
  WatchedDisk files{disk_};
  const auto journal = open_before_a_larger_segment(files);
  ASSERT_TRUE(journal) << fault_.message;
  bool was_made = false;
  bool was_taken = false;
  files.set_before_call([&] {
    const bool is_there = disk_.has(in_directory(directory, larger_name));
    was_made = was_made || is_there;
    if (!was_made || is_there) return;  // until it has got its name
    while (!was_taken && append_one(*journal)) was_taken = journal->status().segments == 2;
  });
  ASSERT_TRUE(journal->run_background());
  files.set_before_call({});
  ASSERT_TRUE(was_taken);
  while (journal->status().segments < 3) ASSERT_TRUE(append_one(*journal));
}

TEST_F(JournalBesideTest, ABackupHasWhatWasAcknowledgedBeforeItAndABeginningOfTheRest) {
  constexpr int rounds = 200;
  int too_busy = 0;
  int grown = 0;
  for (int round = 0; round < rounds; ++round) {
    begin_anew();
    WatchedDisk files{disk_};
    std::set<core::Fence> found;
    const auto durability = static_cast<Durability>(random_() % 3);
    const auto journal = open_in(disk_, directory, durability, found);
    ASSERT_TRUE(journal) << fault_.message;
    ASSERT_TRUE(append_some(*journal, random_() % 300));
    const Index before = acknowledged_;
    const auto pause = 1 + random_() % 20;
    bool works = true;
    files.set_before_call([&] {
      if (random_() % pause == 0)
        works = works && append_some(*journal, 1 + random_() % (4 * pause));
    });
    const auto copied = back_up_store(files, directory, "copy");
    files.set_before_call({});
    ASSERT_TRUE(works);
    const std::string what = "round " + std::to_string(round);
    if (!copied) {
      ASSERT_NE(copied.error().message.find("faster than"), std::string::npos)
          << what << ": " << copied.error().message;
      ++too_busy;
      continue;
    }
    if (acknowledged_ > before) ++grown;
    disk_.restart(Survival::nothing, random_);
    ASSERT_TRUE(open_in(disk_, "copy", Durability::always, found)) << what << fault_.message;
    EXPECT_EQ(recovered_.last_index, copied->summary.last_index) << what;
    expect_whole(found, before, what);
    if (HasFailure()) return;
  }
  EXPECT_GT(grown, rounds / 4);
  EXPECT_LT(too_busy, rounds / 4);
}

}  // namespace
}  // namespace locker::persistence
