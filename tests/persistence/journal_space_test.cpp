// Tests of a disk that becomes full, and is freed again.

#include <cerrno>

#include "persistence/snapshot_format.hpp"
#include "tests/persistence/journal_fixture.hpp"

namespace locker::persistence {
namespace {

using core::Room;

class JournalSpaceTest : public JournalTest {
 protected:
  /// Appends frames as long as the journal says there is room; each append must succeed.
  int fill(LocalJournal& journal, bool reserved) {
    int frames = 0;
    const auto held = [this] { return 2 * history_.after.back().size(); };
    while (journal.room_for(4 * core::record_bytes_max, reserved, held()) == Room::enough) {
      EXPECT_TRUE(append(journal, history_)) << background_fault_;
      EXPECT_TRUE(journal.run_background());
      if (++frames > 100'000) break;
    }
    return frames;
  }
  History history_;
};

TEST_F(JournalSpaceTest, OnAFullDiskNewLocksAreRefusedFirstAndReleasesGoOn) {
  disk_.limit_space(4 * segment_bytes_min + spare_bytes_min);
  const auto journal = open();
  ASSERT_TRUE(journal) << fault_.message;
  ASSERT_TRUE(journal->run_background());
  EXPECT_GT(fill(*journal, false), 10);
  const std::size_t held = 2 * history_.after.back().size();
  EXPECT_EQ(journal->room_for(4 * core::record_bytes_max, false, held), Room::none);
  EXPECT_FALSE(warnings_.empty());
  EXPECT_GT(fill(*journal, true), 10);

  disk_.limit_space(64 * segment_bytes_min);
  ASSERT_TRUE(journal->run_background());
  EXPECT_EQ(journal->room_for(core::record_bytes_max, false, 0), Room::enough);
  EXPECT_TRUE(run(*journal, history_, 50));
}

// However many locks there are: a fixed part of the segment would be too small for very many. And
// the less space the disk has left, the smaller the segments made of it.
TEST_F(JournalSpaceTest, OnAFullDiskAllThatIsHeldCanBeReleasedOneByOne) {
  const auto record_of = [](core::Fence fence, bool is_end) {
    core::Path path;
    static_cast<void>(path.push_back("lock"));
    std::string record;
    if (is_end) {
      core::append_record(core::Ended{{}, {fence, 0}, core::End::released}, record);
    } else {
      core::append_record(core::Granted{{}, {fence, 0}, {}, {}, path}, record);
    }
    return record;
  };
  for (const std::uint64_t segments : {0, 1, 3, 8}) {  // that can still be made
    disk_ = {};
    const auto journal = open();
    ASSERT_TRUE(journal) << fault_.message;
    const std::uint64_t spare = segments == 0 ? 0 : spare_bytes_min;
    disk_.limit_space(spare + (1 + segments) * segment_bytes_min + 10'000);
    ASSERT_TRUE(journal->run_background());
    const auto room_for = [&](std::size_t bytes, bool reserved, std::size_t held) {
      Room room = journal->room_for(bytes, reserved, held);
      if (room != Room::soon) return room;
      EXPECT_TRUE(journal->run_background());
      return journal->room_for(bytes, reserved, held);
    };
    core::Fence locks = 0;
    while (room_for(core::record_bytes_max, false, 2 * locks) == Room::enough) {
      ASSERT_TRUE(journal->append(record_of(++locks, false), 1));
    }
    EXPECT_EQ(room_for(core::record_bytes_max, false, 2 * locks), Room::none);
    // More than fits into a quarter of the segment, each lock in a lease of its own.
    ASSERT_GT(locks * (core::record_head_bytes + frame_overhead_max), segment_bytes_min / 4);
    for (core::Fence fence = 1; fence <= locks; ++fence) {
      ASSERT_EQ(room_for(2 * core::record_head_bytes, true, 2 * (locks + 1 - fence)), Room::enough)
          << fence << " of " << locks << ", " << segments << " segments";
      ASSERT_TRUE(journal->append(record_of(fence, true), 1));
    }
  }
}

TEST_F(JournalSpaceTest, WhereSegmentsCanBeMadeMoreCanBeHeldThanOneHasRoomToEnd) {
  const auto journal = open();
  ASSERT_TRUE(journal) << fault_.message;
  EXPECT_EQ(journal->room_for(core::record_bytes_max, false, 1'000'000), Room::enough);
  ASSERT_TRUE(journal->run_background());
  EXPECT_EQ(journal->room_for(core::record_bytes_max, false, 1'000'000), Room::enough);
}

// It may be a quota. A snapshot is tried first, which may make room.
TEST_F(JournalSpaceTest, WhereTheNextSegmentDidNotFitWhatIsFreeIsNoRoomForEnds) {
  const auto journal = open();
  ASSERT_TRUE(journal) << fault_.message;
  ASSERT_TRUE(journal->run_background());
  while (journal->status().segments == 1) ASSERT_TRUE(append(*journal, history_));
  disk_.fail_next("allocate store/prepared", ENOSPC);
  ASSERT_TRUE(journal->run_background());
  EXPECT_EQ(journal->status().snapshots, 1U) << "it gives way to what a quota does not let be";
  ASSERT_EQ(journal->room_for(core::record_bytes_max, false, 0), Room::enough);
  EXPECT_EQ(journal->room_for(core::record_bytes_max, false, 1'000'000), Room::soon);
  ASSERT_TRUE(journal->run_background());
  EXPECT_EQ(journal->room_for(core::record_bytes_max, false, 1'000'000), Room::enough);
}

// After a start, for example: what is held is known, and a snapshot of it is small.
TEST_F(JournalSpaceTest, WhereLocksAreReleasedOnlyTheNextSegmentIsMadeOfWhatNoSnapshotTakes) {
  const auto journal = open();
  ASSERT_TRUE(journal) << fault_.message;
  disk_.limit_space(2 * segment_bytes_min + snapshot_bytes_max(2) + 10'000);
  EXPECT_EQ(journal->room_for(segment_bytes_min, true, 2), Room::soon);
  ASSERT_TRUE(journal->run_background());
  EXPECT_TRUE(disk_.has(in_directory(directory, prepared_name)));
}

// The disk holds only the journal: nobody else could make room for it.
TEST_F(JournalSpaceTest, ADiskThatLocksFilledTakesLocksAgainWhenTheyAreReleased) {
  core::Path path;
  static_cast<void>(path.push_back("lock"));
  const std::string meta(core::meta_bytes_max, 'm');
  for (const std::uint64_t segments : {2, 3, 5, 9, 17, 40}) {
    SCOPED_TRACE(segments);
    disk_ = {};
    auto journal = open();
    ASSERT_TRUE(journal) << fault_.message;
    disk_.limit_space(spare_bytes_min + segments * segment_bytes_min + 10'000);
    ASSERT_TRUE(journal->run_background());
    core::Fence fence = 0;
    const auto grant = [&] {
      std::string record;
      core::append_record(core::Granted{{}, {++fence, 0}, {}, {}, path, {}, {}, meta}, record);
      ASSERT_TRUE(journal->append(record, 1)) << background_fault_;
    };
    const auto end = [&](core::Fence which) {
      std::string record;
      core::append_record(core::Ended{{}, {which, 0}, core::End::released}, record);
      ASSERT_TRUE(journal->append(record, 1)) << background_fault_;
    };
    /// The background work runs now and then.
    const auto room_for = [&](std::size_t bytes, bool reserved, std::size_t held) {
      Room room = journal->room_for(bytes, reserved, held);
      for (int tries = 0; room != Room::enough && tries < 3; ++tries) {
        EXPECT_TRUE(journal->run_background());
        room = journal->room_for(bytes, reserved, held);
      }
      return room;
    };
    while (room_for(core::record_bytes_max, false, 2 * fence) == Room::enough) grant();
    const core::Fence locks = fence;
    ASSERT_GT(locks, 10U);
    for (core::Fence each = 1; each <= locks; ++each) {
      ASSERT_EQ(room_for(core::record_head_bytes, true, 2 * (locks + 1 - each)), Room::enough)
          << each << " of " << locks << " cannot be released";
      end(each);
    }
    for (std::uint64_t bytes = 0; bytes < 3 * segments * segment_bytes_min; bytes += meta.size()) {
      ASSERT_EQ(room_for(core::record_bytes_max, false, 0), Room::enough)
          << "refused after " << bytes << " bytes, with nothing held";
      grant();
      ASSERT_EQ(room_for(core::record_head_bytes, true, 2), Room::enough);
      end(fence);
      if (bytes % segment_bytes_min < meta.size()) {  // a restart works too
        journal.reset();
        journal = open();
        ASSERT_TRUE(journal) << fault_.message;
      }
    }
  }
}

TEST_F(JournalSpaceTest, WhatWasAcknowledgedOnAFullDiskIsThereAfterARestart) {
  disk_.limit_space(4 * segment_bytes_min + spare_bytes_min);
  {
    const auto journal = open();
    ASSERT_TRUE(journal) << fault_.message;
    ASSERT_TRUE(journal->run_background());
    fill(*journal, false);
  }
  expect_nothing_acknowledged_is_lost(history_, "full disk");
}

TEST_F(JournalSpaceTest, OnAFullDiskLocksCanBeReleasedAfterARestartToo) {
  const auto used = [this] {
    std::uint64_t bytes = 0;
    for (const std::string& each : disk_.paths()) bytes += disk_.bytes(each).size();
    return bytes;
  };
  {
    const auto journal = open();
    ASSERT_TRUE(journal) << fault_.message;
    ASSERT_TRUE(journal->run_background());
    // Fills the segment to its last bytes; the next one is prepared.
    const std::string meta(core::meta_bytes_max, 'm');
    for (std::size_t bytes = segment_header_bytes; bytes + 5'000 < segment_bytes_min;) {
      std::string record;
      core::append_record(core::Granted{{}, {++history_.last_fence, 0}, {}, {}, {}, {}, {}, meta},
                          record);
      ASSERT_TRUE(journal->append(record, 1));
      bytes += record.size() + frame_overhead_max;
    }
    ASSERT_EQ(journal->room_for(4 * core::record_bytes_max, true, 0), Room::enough);
  }
  disk_.limit_space(used());  // others take the rest
  const auto journal = open();
  ASSERT_TRUE(journal) << fault_.message;
  ASSERT_TRUE(journal->run_background());
  EXPECT_EQ(journal->room_for(4 * core::record_bytes_max, true, 0), Room::enough);
}

TEST_F(JournalSpaceTest, ARestartDoesNotForgetHowLargeTheSnapshotIs) {
  std::uint64_t before = 0;
  {
    const auto journal = open();
    ASSERT_TRUE(journal) << fault_.message;
    while (journal->status().snapshots == 0) ASSERT_TRUE(run(*journal, history_, 50));
    before = journal->status().snapshot_bytes;
  }
  ASSERT_GT(before, 0U);
  const auto journal = open();
  ASSERT_TRUE(journal) << fault_.message;
  EXPECT_EQ(journal->status().snapshot_bytes, before);
}

// Otherwise the client retries for ever, and so does everyone behind it.
TEST_F(JournalSpaceTest, WhatFitsIntoNoSegmentIsRefusedAndNotPutOff) {
  const auto journal = open();
  ASSERT_TRUE(journal) << fault_.message;
  EXPECT_EQ(journal->room_for(segment_bytes_min, false, 0),
            Room::soon);  // the next segment is being prepared
  ASSERT_TRUE(journal->run_background());
  EXPECT_EQ(journal->room_for(segment_bytes_min / 2, false, 0), Room::enough);
  EXPECT_EQ(journal->room_for(segment_bytes_min / 16 * 15, false, 0), Room::none);
  EXPECT_EQ(journal->room_for(segment_bytes_min / 16 * 15, true, 0), Room::enough);
  EXPECT_EQ(journal->room_for(segment_bytes_min, true, 0), Room::none);
}

// Others filled the disk for a moment: afterwards there is never more room than before.
TEST_F(JournalSpaceTest, ASnapshotThatDidNotFitOnceIsTriedAgainWhenThereIsTwiceAsMuchToPutIntoIt) {
  const auto journal = open();
  ASSERT_TRUE(journal) << fault_.message;
  disk_.fail_next("write store/snapshot", ENOSPC);
  while (journal->status().snapshots_failed == 0) ASSERT_TRUE(run(*journal, history_, 20));
  EXPECT_FALSE(warnings_.empty());
  EXPECT_FALSE(journal->status().makes_snapshots);
  for (const std::uint64_t segments = journal->status().segments;
       journal->status().snapshots == 0;) {
    ASSERT_LE(journal->status().segments, 2 * segments + 2) << "no snapshot is made any more";
    ASSERT_TRUE(run(*journal, history_, 20));
  }
  EXPECT_EQ(journal->status().snapshots_failed, 1U);
  EXPECT_TRUE(journal->status().makes_snapshots);
}

TEST_F(JournalSpaceTest, AStoreIsNotBegunWhereThereIsNoRoom) {
  disk_.limit_space(segment_bytes_min);
  Held held;
  EXPECT_FALSE(open(held));
  EXPECT_EQ(fault_.kind, OpenFault::Kind::disk_full);
  disk_.limit_space(64 * segment_bytes_min);
  EXPECT_TRUE(open(held)) << fault_.message;
}

}  // namespace
}  // namespace locker::persistence
