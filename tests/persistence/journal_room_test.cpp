// Tests of how the room on a nearly full disk is allotted, with segments of the usual size, which
// do not fit.

#include <algorithm>
#include <cerrno>
#include <cstdlib>

#include "persistence/segment_preparer.hpp"
#include "tests/persistence/journal_fixture.hpp"

namespace locker::persistence {
namespace {

using core::Room;

constexpr std::uint64_t mebibyte = std::uint64_t{1} << 20U;

/// Locks are acquired and released on a disk that others use too.
class JournalRoomTest : public JournalTest {
 protected:
  void begin(std::uint64_t segment_bytes, std::uint64_t disk_bytes) {
    journal_.reset();
    disk_ = {};
    segment_bytes_ = segment_bytes;
    disk_bytes_ = disk_bytes;
    disk_.limit_space(disk_bytes);
    held_.clear();
    delayed_ = 0;
    cooling_.clear();
    is_one_lease_ = false;
    fence_ = 0;
    warnings_.clear();
    reopen();
  }
  /// Reopens as after a kill. What is held is what was acknowledged. The background work does not
  /// run before `idle_records` records, or before somebody waits for it.
  void reopen(std::uint64_t idle_records = 0) {
    journal_.reset();
    disk_.restart_process();
    Held found;
    journal_ = open(found);
    ASSERT_TRUE(journal_) << fault_.message;
    ASSERT_EQ(found.size(), held_.size() + cooling_.size());
    for (const Lock& lock : held_) ASSERT_TRUE(found.contains({lock.fence, 0})) << lock.fence;
    for (const core::Fence fence : cooling_) ASSERT_TRUE(found.contains({fence, 0})) << fence;
    idle_records_ = idle_records;
    if (idle_records == 0) work(2);
  }
  void work(int rounds) {
    idle_records_ = 0;
    for (int round = 0; round < rounds; ++round) {
      const auto done = journal_->run_background();
      ASSERT_TRUE(done || disk_.has_failed()) << done.error().message;
    }
  }
  /// Other files take all free space, or none.
  void let_others_fill_the_disk() { disk_.limit_space(used()); }
  void let_others_leave() { disk_.limit_space(disk_bytes_); }

  struct Lock {
    core::Fence fence = 0;
    bool has_delay = false;  // so it may end by two records
  };
  /// As LockTable::ends_max().
  [[nodiscard]] std::size_t ends_max() const {
    return held_.size() + cooling_.size() + delayed_ + (is_one_lease_ ? 1 : held_.size());
  }
  Room room_for(std::size_t bytes, bool reserved) {
    const std::size_t ends = ends_max();
    Room room = journal_->room_for(bytes, reserved, ends);
    for (int round = 0; room != Room::enough && round < 6; ++round) {
      work(1);
      room = journal_->room_for(bytes, reserved, ends);
    }
    return room;
  }
  [[nodiscard]] bool grant(std::size_t meta_bytes, bool has_delay = false) {
    if (room_for(core::record_bytes_max, false) != Room::enough) return false;
    core::Path path;
    static_cast<void>(path.push_back("lock"));
    const std::string meta(meta_bytes, 'm');
    const core::Milliseconds delay{has_delay ? 1 : 0};
    append(core::Granted{{}, {++fence_, 0}, {}, {}, path, {}, delay, meta});
    held_.push_back({fence_, has_delay});
    delayed_ += has_delay ? 1 : 0;
    return true;
  }
  /// Ends the lock that `choice` selects.
  [[nodiscard]] bool end(std::uint64_t choice) {
    if (room_for(2 * core::record_head_bytes, true) != Room::enough) return false;
    std::swap(held_[choice % held_.size()], held_.back());
    append(core::Ended{{}, {held_.back().fence, 0}, core::End::released});
    drop_last();
    return true;
  }
  /// As end(), but the lock cools; cool() ends one that does.
  [[nodiscard]] bool force(std::uint64_t choice) {
    if (room_for(2 * core::record_head_bytes, true) != Room::enough) return false;
    std::swap(held_[choice % held_.size()], held_.back());
    append(core::Cooling{{}, {held_.back().fence, 0}, core::End::forced});
    cooling_.push_back(held_.back().fence);
    drop_last();
    return true;
  }
  [[nodiscard]] bool cool(std::uint64_t choice) {
    if (room_for(2 * core::record_head_bytes, true) != Room::enough) return false;
    std::swap(cooling_[choice % cooling_.size()], cooling_.back());
    append(core::Ended{{}, {cooling_.back(), 0}, core::End::cooled});
    cooling_.pop_back();
    return true;
  }
  void drop_last() {
    delayed_ -= held_.back().has_delay ? 1 : 0;
    held_.pop_back();
  }
  template <typename Kind>
  void append(const Kind& kind) {
    std::string record;
    core::append_record(kind, record);
    const auto appended = journal_->append(record, 1);
    ASSERT_TRUE(appended) << appended.error().message;
    if (idle_records_ != 0) {
      --idle_records_;
    } else if (++appends_ % 32 == 0) {
      work(1);
    }
  }
  void end_all() {
    const std::size_t all = held_.size();
    while (!held_.empty()) {
      ASSERT_TRUE(end(0)) << held_.size() << " of " << all << " cannot be released";
    }
  }
  /// Grants and releases locks on a disk that locks have filled, while this percentage of them
  /// stays held.
  void let_locks_come_and_go_beside(std::size_t held_of_a_hundred, std::size_t meta_bytes) {
    while (grant(meta_bytes)) {
    }
    const std::size_t held = held_.size() * held_of_a_hundred / 100;
    while (held_.size() > held) ASSERT_TRUE(end(0));
    for (int locks = 0; locks < 20'000; ++locks) {
      ASSERT_TRUE(grant(meta_bytes)) << locks << " came and went beside " << held;
      ASSERT_TRUE(end(held_.size() - 1));
    }
    end_all();
  }
  [[nodiscard]] std::uint64_t used() const {
    std::uint64_t bytes = 0;
    for (const std::string& each : disk_.paths()) {
      bytes += const_cast<test::SimulatedDisk&>(disk_).bytes(each).size();
    }
    return bytes;
  }

  std::uint64_t disk_bytes_ = 0;
  std::unique_ptr<LocalJournal> journal_;
  std::vector<Lock> held_;
  std::size_t delayed_ = 0;  ///< Of held_, those with a lock delay.
  std::vector<core::Fence> cooling_;
  bool is_one_lease_ = false;  ///< All locks are in one lease; otherwise each has its own.
  core::Fence fence_ = 0;
  std::uint64_t idle_records_ = 0;
  std::uint64_t appends_ = 0;
};

TEST_F(JournalRoomTest, ASegmentThatWasPreparedInATightMomentIsExchangedForALargerOne) {
  // Much is held, and much more acquired and released.
  begin(64 * mebibyte, 58 * mebibyte);
  while (held_.size() < 40'000) ASSERT_TRUE(grant(40));
  for (std::uint64_t bytes = 0; bytes < 3 * disk_bytes_; bytes += 1'000) {
    ASSERT_TRUE(grant(1'000)) << bytes << " bytes, " << journal_->status().free_bytes << " free";
    ASSERT_TRUE(end(held_.size() - 1));
  }
  end_all();
}

TEST_F(JournalRoomTest, WhenAFullDiskIsFreedMuchAtOnceFitsAgain) {
  constexpr std::size_t much = 5 * mebibyte / 2;
  begin(64 * mebibyte, 1024 * mebibyte);
  ASSERT_EQ(room_for(much, false), Room::enough);
  let_others_fill_the_disk();
  while (grant(core::meta_bytes_max)) ASSERT_TRUE(end(0));
  ASSERT_FALSE(warnings_.empty());
  // First a little, so that only a small one can be made, then the rest.
  disk_.limit_space(used() + 3 * mebibyte);
  work(4);
  EXPECT_EQ(room_for(much, false), Room::none);
  let_others_leave();
  EXPECT_EQ(room_for(much, false), Room::enough);
}

TEST_F(JournalRoomTest, WhatIsHeldCanBeReleasedAfterARestartToo) {
  for (const std::uint64_t segment_bytes : {4 * mebibyte, 64 * mebibyte}) {
    for (const std::uint64_t disk_bytes : {16 * mebibyte, 18 * mebibyte, 30 * mebibyte}) {
      SCOPED_TRACE(std::to_string(segment_bytes) + " of " + std::to_string(disk_bytes));
      begin(segment_bytes, disk_bytes);
      while (grant(60)) {
      }
      ASSERT_GT(held_.size(), 10'000U);
      let_others_fill_the_disk();  // they cannot have what is set aside
      const std::string prepared = in_directory(directory, prepared_name);
      ASSERT_TRUE(disk_.has(prepared));
      const std::size_t before = disk_.bytes(prepared).size();
      reopen();
      ASSERT_TRUE(disk_.has(prepared));
      EXPECT_EQ(disk_.bytes(prepared).size(), before);
      // A restart has not lost what was set aside: as much can be released as before.
      std::size_t ended = 0;
      for (; !held_.empty() && end(0); ++ended) {
      }
      EXPECT_GT(ended, 10'000U);
      let_others_leave();
      end_all();
    }
  }
}

// Others have taken the free space since, or a file system frees removed files only later.
TEST_F(JournalRoomTest, AStartNeverGivesAwayWhatWasPreparedBeforeIt) {
  begin(4 * mebibyte, 30 * mebibyte);
  ASSERT_TRUE(grant(60));
  const std::string prepared = in_directory(directory, prepared_name);
  ASSERT_TRUE(disk_.has(prepared));
  const std::size_t before = disk_.bytes(prepared).size();
  for (int look = 1; look <= 4; ++look) {
    SCOPED_TRACE("nothing is free from look " + std::to_string(look) + " on");
    let_others_leave();
    disk_.limit_space_at_look(look, used() - before);
    reopen();
    ASSERT_TRUE(disk_.has(prepared));
    EXPECT_EQ(disk_.bytes(prepared).size(), before);
  }
}

TEST_F(JournalRoomTest, AStartThatCannotOpenWhatWasPreparedLeavesItAlone) {
  begin(segment_bytes_min, 30 * mebibyte);
  const std::string prepared = in_directory(directory, prepared_name);
  ASSERT_TRUE(disk_.has(prepared));
  disk_.put(prepared,
            std::string(segment_bytes_min, 'x'));  // so that it can be distinguished from another
  reopen(1);
  disk_.fail_next("open " + prepared, EIO);
  EXPECT_FALSE(journal_->run_background());
  ASSERT_TRUE(disk_.has(prepared));
  EXPECT_EQ(disk_.bytes(prepared).front(), 'x');
}

// Grants rely on it.
TEST_F(JournalRoomTest, ALargerSegmentThatTookThePlaceOfASmallOneOutlivesAPowerCut) {
  begin(4 * mebibyte, 30 * mebibyte);
  const std::string prepared = in_directory(directory, prepared_name);
  let_others_fill_the_disk();
  while (grant(core::meta_bytes_max)) ASSERT_TRUE(end(0));
  disk_.limit_space(used() + 3 * mebibyte);
  work(4);
  ASSERT_TRUE(disk_.has(prepared));
  const std::size_t before = disk_.bytes(prepared).size();
  let_others_leave();
  work(1);
  const std::size_t after = disk_.bytes(prepared).size();
  ASSERT_GT(after, before);
  journal_.reset();
  disk_.restart(test::SimulatedDisk::Survival::nothing, random_);
  ASSERT_TRUE(disk_.has(prepared));
  EXPECT_EQ(disk_.bytes(prepared).size(), after);
}

// The kill comes between the snapshot's rename and the removal of what it replaces: there is no
// room for another one.
TEST_F(JournalRoomTest, AfterAKillBehindASnapshotWhatIsHeldCanBeReleased) {
  begin(segment_bytes_min, 64 * mebibyte);
  while (journal_->status().snapshots_made < 3) ASSERT_TRUE(grant(200));
  disk_.fail_next("remove store/journal", EIO);
  while (!disk_.has_failed()) ASSERT_TRUE(grant(200));
  ASSERT_GT(held_.size(), 10'000U);
  disk_.limit_space(used() + spare_bytes_min);
  reopen();
  end_all();
}

// However long the background thread takes to examine the disk for the first time.
TEST_F(JournalRoomTest, WhatIsGrantedRightAfterARestartCanBeReleased) {
  for (const std::uint64_t segment_bytes : {4 * mebibyte, 64 * mebibyte}) {
    SCOPED_TRACE("segments of " + std::to_string(segment_bytes));
    begin(segment_bytes, 16 * mebibyte);
    while (grant(60)) {
    }
    ASSERT_GT(held_.size(), 10'000U);
    reopen(1'000'000);
    while (journal_->room_for(core::record_bytes_max, false, ends_max()) == Room::enough) {
      ASSERT_TRUE(grant(60));
    }
    end_all();
  }
}

// Each in a frame of its own, for cooling and for the end: two records for each lock.
TEST_F(JournalRoomTest, WhatCoolsFirstCanEndToo) {
  for (const std::uint64_t kibibytes : {7'000, 9'000, 24'000}) {
    SCOPED_TRACE("a disk of " + std::to_string(kibibytes) + " KiB");
    begin(4 * mebibyte, kibibytes << 10U);
    is_one_lease_ = true;
    while (grant(1, true)) {
    }
    ASSERT_GT(held_.size(), 5'000U);
    while (!held_.empty()) ASSERT_TRUE(force(0)) << held_.size() << " locks cannot be forced";
    const std::size_t all = cooling_.size();
    while (!cooling_.empty()) {
      ASSERT_TRUE(cool(0)) << cooling_.size() << " of " << all << " cannot end";
    }
  }
}

TEST_F(JournalRoomTest, ThoughNoSnapshotFitsWhatIsHeldCanBeReleased) {
  begin(2 * segment_bytes_min, 40 * mebibyte);
  while (grant(250)) {
  }
  ASSERT_GT(held_.size(), 20'000U);
  let_others_fill_the_disk();
  while (end(held_.size() / 2)) {
  }
  ASSERT_GT(held_.size(), 10'000U);
  const std::uint64_t left = 9 * mebibyte / 2;  // by others
  ASSERT_GT(journal_->status().snapshot_bytes, left);
  disk_.limit_space(used() + left);
  end_all();
  EXPECT_TRUE(grant(core::meta_bytes_max));
}

// Whenever they leave: just before the next segment is tried, or between that and a snapshot, which
// would take all of the room and free nothing, because it is the first.
TEST_F(JournalRoomTest, WhereOthersLeaveALittleTheNextSegmentGetsItAndNoSnapshot) {
  for (int look = 1; look <= 8; ++look) {
    SCOPED_TRACE("they leave before look " + std::to_string(look) + " at what is free");
    begin(segment_bytes_min, 16 * mebibyte);
    disk_.fail_next("write store/snapshot", ENOSPC);  // they took the space for a moment
    while (held_.size() < 5'700) ASSERT_TRUE(grant(1));
    let_others_fill_the_disk();
    while (!held_.empty() && end(0)) {
    }
    ASSERT_GT(held_.size(), 500U);  // a snapshot of this many is not certain to fit
    ASSERT_EQ(journal_->status().snapshots, 0U);
    const std::uint64_t left = spare_bytes_min + segment_bytes_min + segment_bytes_min / 8;
    disk_.limit_space_at_look(look, used() + left);
    work(4);
    EXPECT_TRUE(end(0)) << held_.size() << " locks cannot be released";
  }
}

// The first snapshot then takes as much as everything written, and replaces nothing. The disk sizes
// are chosen so that it just fits if grants ignore it.
TEST_F(JournalRoomTest, WhatASnapshotThatDidNotFitForLongTakesIsNoRoomForEnds) {
  for (const std::uint64_t kibibytes : {34'700, 34'900, 35'100}) {
    SCOPED_TRACE("a disk of " + std::to_string(kibibytes) + " KiB");
    begin(segment_bytes_min, kibibytes << 10U);
    while (grant(800)) {
      // As if others filled the disk for a moment, each time.
      disk_.fail_next(held_.size() < 14'000 ? "write store/snapshot" : "", ENOSPC);
    }
    ASSERT_GT(held_.size(), 10'000U);
    ASSERT_GT(journal_->status().snapshots_failed, 5U);
    end_all();
  }
}

// The segments sealed since the last snapshot are smaller than it, and take the room: one more
// snapshot makes room for both.
TEST_F(JournalRoomTest, WhereLittleIsSealedButGrantsAreRefusedASnapshotMakesRoom) {
  begin(segment_bytes_min, std::uint64_t{16'000} << 10U);
  let_locks_come_and_go_beside(40, 60);
}

// As much was held when it did not fit. More than half of that is held, and yet it fits.
TEST_F(JournalRoomTest, ASnapshotThatDidNotFitIsTriedAgainWhenItIsExpectedToFit) {
  begin(mebibyte, std::uint64_t{36'000} << 10U);
  let_locks_come_and_go_beside(50, 1'900);
}

// The locks that stay held have more meta than those released, so the snapshot is larger than
// expected.
TEST_F(JournalRoomTest, ASnapshotThatWasExpectedToFitAndDidNotIsNotTriedBehindEachSegment) {
  begin(segment_bytes_min, 128 * mebibyte);
  while (held_.size() < 5'000) ASSERT_TRUE(grant(core::meta_bytes_max));
  while (held_.size() < 100'000) ASSERT_TRUE(grant(1));
  for (const std::uint64_t made = journal_->status().snapshots_made;
       journal_->status().snapshots_made == made;) {
    ASSERT_TRUE(grant(core::meta_bytes_max));
    ASSERT_TRUE(end(held_.size() - 1));
  }
  disk_.limit_space(used() + 16 * mebibyte);  // others have the rest
  const std::uint64_t segments = journal_->status().segments;
  while (held_.size() > 35'000) ASSERT_TRUE(end(held_.size() - 1));
  ASSERT_GT(journal_->status().segments, segments + 10);
  EXPECT_GT(journal_->status().snapshots_failed, 0U);
  // Once each time that twice as much was sealed, and once as expected.
  EXPECT_LE(journal_->status().snapshots_failed, 5U);
  let_others_leave();
  end_all();
}

// If the next segment does not fit, nothing more is sealed that the snapshot could wait for.
TEST_F(JournalRoomTest, OnAFullDiskASnapshotThatHadNoDescriptorIsTriedAgain) {
  begin(segment_bytes_min, 64 * mebibyte);
  while (held_.size() < 25'000) ASSERT_TRUE(grant(1));
  for (const std::uint64_t made = journal_->status().snapshots_made;
       journal_->status().snapshots_made < made + 3;) {
    ASSERT_TRUE(grant(core::meta_bytes_max));
    ASSERT_TRUE(end(held_.size() - 1));
  }
  disk_.limit_space(used() + spare_bytes_min);
  disk_.fail_next("write store/snapshot", EMFILE);
  while (!disk_.has_failed()) ASSERT_TRUE(end(0));
  disk_.fail_next("write store/snapshot", EMFILE);
  work(1);
  EXPECT_EQ(journal_->status().snapshots_failed, 2U);
  EXPECT_EQ(std::count_if(warnings_.begin(), warnings_.end(),
                          [](const auto& text) { return text.starts_with("No snapshot"); }),
            1);
  end_all();
}

// Each snapshot that makes room writes everything that is held.
TEST_F(JournalRoomTest, WhereLocksComeAndGoAtTheLimitSnapshotsTakeAFewTimesWhatIsJournaled) {
  begin(segment_bytes_min, std::uint64_t{40'000} << 10U);
  while (grant(400)) {
  }
  const std::size_t limit = held_.size();
  const std::uint64_t made = journal_->status().snapshots_made;
  for (const core::Fence last = fence_ + 20'000; fence_ < last;) {
    ASSERT_TRUE(end(0));
    while (held_.size() < limit && grant(400)) {
    }
  }
  constexpr std::uint64_t journaled = std::uint64_t{20'000} * 550;
  const LocalJournal::Status status = journal_->status();
  EXPECT_GT(status.snapshots_made, made);
  EXPECT_LE((status.snapshots_made - made) * status.snapshot_bytes, 7 * journaled);
  end_all();
}

// Grants and releases come in any order, locks cool, others fill the disk and leave it, and lockerd
// is restarted. Whatever is held can end, unless others have taken the free space; once they have
// left, it can end even then; and when little is held, locks are granted.
TEST_F(JournalRoomTest, WhateverComesNobodyIsStuck) {
  const char* const given = std::getenv("LOCKER_SEED");
  const std::uint64_t first = given == nullptr ? 1 : std::strtoull(given, nullptr, 10);
  const char* const count_given = std::getenv("LOCKER_SEEDS");
  const std::uint64_t count = count_given != nullptr ? std::strtoull(count_given, nullptr, 10)
                              : given != nullptr     ? 1
                                                     : 8;
  for (std::uint64_t seed = first; seed < first + count && !HasFatalFailure(); ++seed) {
    std::mt19937_64 random{seed};
    const std::uint64_t largest = segment_bytes_min << (random() % 9);
    const std::uint64_t kibibytes = 7'000 + random() % 40'000;
    const std::size_t metas[] = {1, 200, core::meta_bytes_max};
    const std::size_t meta_bytes = metas[random() % 3];
    SCOPED_TRACE("replay with LOCKER_SEED=" + std::to_string(seed) + ": segments of " +
                 std::to_string(largest >> 10U) + " KiB, a disk of " + std::to_string(kibibytes));
    begin(largest, kibibytes << 10U);
    is_one_lease_ = random() % 2 == 0;
    const std::uint64_t delays = std::uint64_t{50} * (random() % 3);  // of a hundred
    const std::uint64_t coolings = 40 * (random() % 2);  // of a hundred ends, while others are held
    bool others_are_there = false;
    const auto try_end = [&] {
      const std::uint64_t choice = random();
      const bool cools_one = !cooling_.empty() && random() % 100 < coolings;
      if (held_.empty() || cools_one) return cool(choice);
      const bool cools = held_[choice % held_.size()].has_delay && random() % 100 < 90;
      return cools ? force(choice) : end(choice);
    };
    const auto end_one = [&] {
      if (try_end()) return;
      ASSERT_TRUE(others_are_there)
          << held_.size() << " locks, and " << cooling_.size() << " that cool, cannot end, with "
          << journal_->status().free_bytes << " bytes free";
      others_are_there = false;
      let_others_leave();
      ASSERT_TRUE(try_end()) << held_.size() << " locks, and " << cooling_.size()
                             << " that cool, cannot end after others left "
                             << journal_->status().free_bytes << " bytes free";
    };
    for (int phase = 0; phase < 6 && !HasFatalFailure(); ++phase) {
      const bool fills = phase == 5 && random() % 2 == 0;
      const std::uint64_t grants = fills ? 100 : random() % 100;  // of a hundred
      const std::uint64_t end_of_phase =
          fence_ + 1 + random() % (kibibytes * 1024 / (meta_bytes + 100));
      for (int refused = 0;
           (fills || fence_ < end_of_phase) && refused < 1'000 && !HasFatalFailure();) {
        if (random() % (fills && refused != 0 ? 500 : 20'000) == 0)
          reopen(random() % 2 == 0 ? 0 : random() % 20'000);
        if (random() % 20'000 == 0) {
          others_are_there = !others_are_there;
          others_are_there ? let_others_fill_the_disk() : let_others_leave();
        }
        const std::size_t all = held_.size() + cooling_.size();
        if (all != 0 && random() % 100 >= grants) {
          end_one();
        } else if (!grant(random() % meta_bytes, random() % 100 < delays)) {
          ++refused;
          if (all > 20) {
            end_one();
          } else if (others_are_there) {
            others_are_there = false;
            let_others_leave();
          } else {
            FAIL() << "nothing is granted, though " << all << " are held and "
                   << journal_->status().free_bytes << " bytes free";
          }
        }
      }
    }
    while (held_.size() + cooling_.size() != 0 && !HasFatalFailure()) end_one();
    let_others_leave();
    if (HasFatalFailure()) return;
    ASSERT_TRUE(grant(core::meta_bytes_max));
  }
}

}  // namespace
}  // namespace locker::persistence
