// What a nearly full disk's room is promised to: segments of the usual size, which do not fit.

#include <cstdlib>

#include "persistence/segment_preparer.hpp"
#include "tests/persistence/journal_fixture.hpp"

namespace locker::persistence {
namespace {

using core::Room;

constexpr std::uint64_t mebibyte = std::uint64_t{1} << 20U;

/// Locks that are taken and given back, each in a lease of its own, on a disk that others use too.
class JournalRoomTest : public JournalTest {
 protected:
  void begin(std::uint64_t segment_bytes, std::uint64_t disk_bytes) {
    journal_.reset();
    disk_ = {};
    segment_bytes_ = segment_bytes;
    disk_bytes_ = disk_bytes;
    disk_.limit_space(disk_bytes);
    held_.clear();
    fence_ = 0;
    warnings_.clear();
    reopen();
  }
  /// As after a kill. What is held is what was acknowledged.
  void reopen() {
    journal_.reset();
    disk_.restart_process();
    Held found;
    journal_ = open(found);
    ASSERT_TRUE(journal_) << fault_.message;
    ASSERT_EQ(found.size(), held_.size());
    for (const core::Fence fence : held_) ASSERT_TRUE(found.contains({fence, 0})) << fence;
    work(2);
  }
  void work(int rounds) {
    for (int round = 0; round < rounds; ++round) {
      const auto done = journal_->run_background();
      ASSERT_TRUE(done) << done.error().message;
    }
  }
  /// Somebody else's files take all that is free, or nothing.
  void let_others_fill_the_disk() { disk_.limit_space(used()); }
  void let_others_leave() { disk_.limit_space(disk_bytes_); }

  Room room_for(std::size_t bytes, bool reserved) {
    Room room = journal_->room_for(bytes, reserved, 2 * held_.size());
    for (int round = 0; room != Room::enough && round < 6; ++round) {
      work(1);
      room = journal_->room_for(bytes, reserved, 2 * held_.size());
    }
    return room;
  }
  [[nodiscard]] bool grant(std::size_t meta_bytes) {
    if (room_for(core::record_bytes_max, false) != Room::enough) return false;
    core::Path path;
    static_cast<void>(path.push_back("lock"));
    const std::string meta(meta_bytes, 'm');
    append(core::Granted{{}, {++fence_, 0}, {}, {}, path, {}, {}, meta});
    held_.push_back(fence_);
    return true;
  }
  /// One of those that are held; `choice` says which.
  [[nodiscard]] bool end(std::uint64_t choice) {
    if (room_for(2 * core::record_head_bytes, true) != Room::enough) return false;
    std::swap(held_[choice % held_.size()], held_.back());
    append(core::Ended{{}, {held_.back(), 0}, core::End::released});
    held_.pop_back();
    return true;
  }
  template <typename Kind>
  void append(const Kind& kind) {
    std::string record;
    core::append_record(kind, record);
    const auto appended = journal_->append(record, 1);
    ASSERT_TRUE(appended) << appended.error().message;
    if (++appends_ % 32 == 0) work(1);
  }
  void end_all() {
    const std::size_t all = held_.size();
    while (!held_.empty()) {
      ASSERT_TRUE(end(0)) << held_.size() << " of " << all << " cannot be released";
    }
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
  std::vector<core::Fence> held_;
  core::Fence fence_ = 0;
  std::uint64_t appends_ = 0;
};

TEST_F(JournalRoomTest, ASegmentThatWasPreparedInATightMomentIsExchangedForALargerOne) {
  // Much is held, and much more taken and given back.
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
  // A little, so that only a small one can be made, and then the rest.
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
      let_others_fill_the_disk();  // what is set aside they cannot have
      const std::string prepared = in_directory(directory, prepared_name);
      ASSERT_TRUE(disk_.has(prepared));
      const std::size_t before = disk_.bytes(prepared).size();
      reopen();
      ASSERT_TRUE(disk_.has(prepared));
      EXPECT_EQ(disk_.bytes(prepared).size(), before);
      // A restart has not lost what was set aside: as many can be released as before it.
      std::size_t ended = 0;
      for (; !held_.empty() && end(0); ++ended) {
      }
      EXPECT_GT(ended, 10'000U);
      let_others_leave();
      end_all();
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

// Where grants and releases come in any order, others take the disk and leave it, and lockerd is
// started again: whatever is held can be released, unless others have what was free since; when
// they have left, too; and where little is held, locks are granted.
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
    bool others_are_there = false;
    const auto end_one = [&] {
      if (end(random())) return;
      ASSERT_TRUE(others_are_there) << held_.size() << " locks cannot be released, with "
                                    << journal_->status().free_bytes << " bytes free";
      others_are_there = false;
      let_others_leave();
      ASSERT_TRUE(end(random())) << held_.size() << " locks cannot be released after others left "
                                 << journal_->status().free_bytes << " bytes free";
    };
    for (int phase = 0; phase < 6 && !HasFatalFailure(); ++phase) {
      const std::uint64_t grants = random() % 100;  // of a hundred
      const std::uint64_t end_of_phase =
          fence_ + 1 + random() % (kibibytes * 1024 / (meta_bytes + 100));
      for (int refused = 0; fence_ < end_of_phase && refused < 1'000 && !HasFatalFailure();) {
        if (random() % 20'000 == 0) reopen();
        if (random() % 20'000 == 0) {
          others_are_there = !others_are_there;
          others_are_there ? let_others_fill_the_disk() : let_others_leave();
        }
        if (!held_.empty() && random() % 100 >= grants) {
          end_one();
        } else if (!grant(random() % meta_bytes)) {
          ++refused;
          if (held_.size() > 20) {
            end_one();
          } else if (others_are_there) {
            others_are_there = false;
            let_others_leave();
          } else {
            FAIL() << "nothing is granted, though " << held_.size() << " are held and "
                   << journal_->status().free_bytes << " bytes free";
          }
        }
      }
    }
    while (!held_.empty() && !HasFatalFailure()) end_one();
    let_others_leave();
    if (HasFatalFailure()) return;
    ASSERT_TRUE(grant(core::meta_bytes_max));
  }
}

}  // namespace
}  // namespace locker::persistence
