// Tests of recovery from bytes that are not as they were written.

#include <cerrno>
#include <cstring>

#include "persistence/crc32c.hpp"
#include "persistence/segment_reader.hpp"
#include "persistence/snapshot_format.hpp"
#include "persistence/store_backup.hpp"
#include "persistence/store_inspection.hpp"
#include "tests/persistence/journal_fixture.hpp"

namespace locker::persistence {
namespace {

using test::SimulatedDisk;
using Kind = OpenFault::Kind;

/// A segment's bytes, with frames of arbitrary records: only the frames are examined.
class SegmentScanTest : public testing::Test {
 protected:
  void begin_segment(std::uint64_t salt, Index first_index) {
    header_ = {{}, salt, first_index, 0};
    next_index_ = first_index;
    previous_ = 0;
    bytes_.assign(segment_header_bytes, '\0');
    frames_.clear();
  }
  void add_frame(std::uint32_t count, Index synced_index, const std::string& records) {
    frames_.push_back(bytes_.size());
    previous_ = append_frame({next_index_, count, synced_index, previous_, 0, records},
                             header_.salt, bytes_);
    next_index_ += count;
  }
  [[nodiscard]] SegmentEnd scan() const {
    return scan_segment(bytes_, header_, [](const Frame&) {});
  }
  /// The same verdict without the shortcut: computes the checksum of everything that could be a
  /// frame.
  [[nodiscard]] Tail slow_verdict(const SegmentEnd& end) const {
    const std::string_view rest = std::string_view{bytes_}.substr(end.offset);
    if (rest.find_first_not_of('\0') == std::string_view::npos) return Tail::clean;
    for (std::size_t at = 0; at < rest.size(); at += frame_alignment) {
      const auto frame = read_frame(rest.substr(at), header_.salt);
      if (frame && frame->synced_index >= end.next_index) return Tail::damaged;
    }
    return Tail::torn;
  }
  static void append_word(std::uint64_t word, std::string& out) {
    out.append(reinterpret_cast<const char*>(&word), sizeof word);
  }
  /// Reads as the first bytes of a frame: one record, of this length.
  static constexpr std::uint64_t length_word(std::uint32_t length) {
    return std::uint64_t{1} << 32U | length;
  }

  SegmentHeader header_;
  std::string bytes_;
  std::vector<std::size_t> frames_;  // their offsets
  Index next_index_ = 0;
  std::uint32_t previous_ = 0;
  std::mt19937_64 random_{1};
};

TEST_F(SegmentScanTest, TheVerdictIsThatOfCheckingEverythingThatCouldBeAFrame) {
  std::map<Tail, int> seen;
  for (int round = 0; round < 500; ++round) {
    begin_segment(random_(), 1 + random_() % 1'000'000);
    Index synced_index = next_index_ - 1;
    for (std::uint64_t frames = 1 + random_() % 12; frames > 0; --frames) {
      // Sometimes everything before it is durable, sometimes less.
      if (random_() % 2 == 0) synced_index += random_() % (next_index_ - synced_index);
      std::string records(random_() % 8, 'r');
      for (std::uint64_t words = random_() % 40; words > 0; --words) {
        const std::uint64_t kind = random_() % 3;
        append_word(kind == 0   ? length_word(static_cast<std::uint32_t>(random_() % 1'000))
                    : kind == 1 ? next_index_ + random_() % 16
                                : random_(),
                    records);
      }
      records += 'r';
      add_frame(static_cast<std::uint32_t>(1 + random_() % 4), synced_index, records);
    }
    const std::size_t begin = frames_[random_() % frames_.size()];
    // Mostly in a frame's header, or after it.
    const std::size_t at = begin + random_() % (random_() % 4 == 0 ? bytes_.size() - begin : 32);
    bytes_[at] = static_cast<char>(bytes_[at] ^ (1 << random_() % 8));
    bytes_.resize(std::size_t{64} << 10U, '\0');
    const SegmentEnd end = scan();
    ASSERT_EQ(end.tail, slow_verdict(end)) << "round " << round;
    ++seen[end.tail];
  }
  EXPECT_GT(seen[Tail::torn], 50);
  EXPECT_GT(seen[Tail::damaged], 50);
}

// Otherwise a start after a power failure takes minutes, and never completes if its time is
// limited.
TEST_F(SegmentScanTest, BehindABrokenFrameNotEverythingThatLooksLikeALengthIsChecked) {
  std::string records;
  while (records.size() < std::size_t{1} << 20U) append_word(length_word(8U << 20U), records);
  begin_segment(random_(), 1);
  for (int frame = 0; frame < 32; ++frame) add_frame(1, 0, records);  // none of them was synced
  bytes_[frames_.front() + 40] ^= 1;
  EXPECT_EQ(scan().tail, Tail::torn);
  add_frame(1, next_index_ - 1, "the last one");
  EXPECT_EQ(scan().tail, Tail::damaged);
}

/// The same segment in a file.
class SegmentReaderTest : public SegmentScanTest {
 protected:
  static constexpr std::size_t mebibyte = std::size_t{1} << 20U;

  void begin_file() {
    begin_segment(random_(), 1 + random_() % 1'000'000);
    bytes_ = encode(header_);
  }
  void end_file(std::size_t size) {
    bytes_.resize(size, '\0');
    disk_.put(path(), bytes_);
  }
  [[nodiscard]] std::string path() const {
    return in_directory("store", segment_name(header_.first_index));
  }
  [[nodiscard]] OpenResult<SegmentReader> open() {
    return SegmentReader::open(disk_, "store", header_.first_index, header_.store);
  }

  SimulatedDisk disk_;
};

TEST_F(SegmentReaderTest, PieceByPieceTheSameIsSeenAsInOne) {
  std::map<Tail, int> seen;
  for (int round = 0; round < 60; ++round) {
    begin_file();
    while (bytes_.size() < 2 * mebibyte) {
      const std::uint64_t most[] = {40, 5'000, 300'000, 3 * mebibyte / 2};
      std::string records(1 + random_() % most[random_() % 4], 'r');
      for (std::size_t at = 0; at < records.size(); at += 64) {
        records[at] = static_cast<char>(random_());
      }
      const Index synced_index = random_() % 2 == 0 ? next_index_ - 1 : 0;
      add_frame(static_cast<std::uint32_t>(1 + random_() % 4), synced_index, records + 'r');
    }
    if (round % 4 != 0) {
      const std::size_t at = frames_[random_() % frames_.size()] + random_() % 32;
      bytes_[at] = static_cast<char>(bytes_[at] ^ (1 << random_() % 8));
    }
    end_file(4 * mebibyte);
    std::string expected_records;
    const SegmentEnd expected = scan_segment(
        bytes_, header_, [&](const Frame& frame) { expected_records += frame.records; });
    auto reader = open();
    ASSERT_TRUE(reader) << reader.error().message;
    std::string records;
    const auto end = reader->scan([&](const Frame& frame) { records += frame.records; });
    ASSERT_TRUE(end) << end.error().message;
    ASSERT_EQ(end->tail, expected.tail) << "round " << round;
    EXPECT_EQ(end->offset, expected.offset);
    EXPECT_EQ(end->next_index, expected.next_index);
    EXPECT_EQ(end->checksum, expected.checksum);
    EXPECT_EQ(end->tail_bytes, expected.tail_bytes);
    EXPECT_TRUE(records == expected_records) << "round " << round;
    ++seen[end->tail];
  }
  EXPECT_GT(seen[Tail::clean], 5);
  EXPECT_GT(seen[Tail::torn], 5);
  EXPECT_GT(seen[Tail::damaged], 5);
}

// Otherwise a start, with all locks in memory already, needs a buffer as large as a segment.
TEST_F(SegmentReaderTest, ALargeSegmentIsReadInSmallPieces) {
  begin_file();
  while (bytes_.size() < 6 * mebibyte) add_frame(1, 0, std::string(1'000, 'r'));
  end_file(8 * mebibyte);
  auto reader = open();
  ASSERT_TRUE(reader) << reader.error().message;
  const auto end = reader->scan([](const Frame&) {});
  ASSERT_TRUE(end) << end.error().message;
  EXPECT_EQ(end->next_index, next_index_);
  EXPECT_EQ(end->tail, Tail::clean);
  EXPECT_LE(disk_.largest_read(), mebibyte);
}

TEST_F(SegmentReaderTest, OneThatLostItsEndAtAPowerOfTwoIsRefused) {
  begin_segment(random_(), 1);
  for (const std::uint64_t said : {std::uint64_t{0}, std::uint64_t{2 * mebibyte}}) {
    header_.bytes = said;
    bytes_ = encode(header_);
    end_file(2 * mebibyte);
    EXPECT_TRUE(open());
    end_file(mebibyte);
    const auto cut = open();
    EXPECT_EQ(cut.has_value(), said == 0);  // an older lockerd did not record its length
    if (said == 0) continue;
    EXPECT_EQ(cut.error().kind, Kind::damaged);
    EXPECT_NE(cut.error().message.find(" has 1048576 bytes, and it was made with 2097152: "),
              std::string::npos)
        << cut.error().message;
  }
}

TEST_F(SegmentReaderTest, WhatIsNotReadIsNotTakenForZeros) {
  begin_file();
  add_frame(1, 0, "a record");
  end_file(4 * mebibyte);
  for (const std::size_t size : {segment_header_bytes, mebibyte, 4 * mebibyte - direct_alignment}) {
    disk_.limit_reads(size);
    auto reader = open();
    ASSERT_TRUE(reader) << reader.error().message;
    const auto end = reader->scan([](const Frame&) {});
    ASSERT_FALSE(end) << size;
    EXPECT_EQ(end.error().kind, Kind::unreadable) << end.error().message;
  }
}

class JournalDamageTest : public JournalTest {
 protected:
  void write_frames(int count) {
    const auto journal = open();
    ASSERT_TRUE(journal) << fault_.message;
    for (int i = 0; i < count; ++i) {
      ASSERT_TRUE(append(*journal, history_));
      frame_ends_.push_back(used_bytes());
    }
  }
  void write_generations() {
    const auto journal = open();
    ASSERT_TRUE(journal) << fault_.message;
    ASSERT_TRUE(run(*journal, history_, 1200));
  }
  std::size_t used_bytes() {
    // Frames are padded to a multiple of eight.
    return (disk_.bytes(segment(1)).find_last_not_of('\0') + 8) / 8 * 8;
  }
  static std::string segment(Index first) { return path(segment_name(first)); }
  StoreFiles files() {
    std::vector<std::string> names;
    for (const std::string& each : disk_.paths()) names.push_back(each.substr(6));
    return sort_files(names);
  }
  void expect_refused(Kind kind, const std::string& named) {
    Held held;
    EXPECT_FALSE(open(held)) << named;
    EXPECT_EQ(fault_.kind, kind) << fault_.message;
    EXPECT_NE(fault_.message.find(named), std::string::npos) << fault_.message;
    const auto inspected =
        inspect_store(disk_, directory, [](Index, const core::Record&) { return true; });
    EXPECT_FALSE(inspected) << "the inspection sees nothing of it: " << named;
  }
  void expect_whole_with_a_warning_of(const std::string& named) {
    Held held;
    ASSERT_TRUE(open(held)) << fault_.message;
    EXPECT_EQ(held, history_.after.back());
    EXPECT_EQ(recovered_.last_fence, history_.last_fence);
    ASSERT_FALSE(warnings_.empty());
    EXPECT_NE(warnings_.front().find(named), std::string::npos);
  }

  void expect_held_after_a_start(const Held& expected) {
    Held held;
    ASSERT_TRUE(open(held)) << fault_.message;
    EXPECT_EQ(held, expected);
  }

  /// Appends large grants, most of which end immediately, until `is_so`; adds the others to `held`.
  void append_until(LocalJournal& journal, Held& held, const std::function<bool()>& is_so) {
    const std::string meta(core::meta_bytes_max, 'm');
    for (int frames = 0; !is_so(); ++frames) {
      ASSERT_LT(frames, 2'000) << "it never is";
      const core::LockId id{++history_.last_fence, 0};
      core::Token token;
      std::memcpy(token.bytes.data(), &id.fence, sizeof id.fence);
      std::string records;
      core::append_record(core::Granted{token, id, {}, "o", {}, {}, {}, meta}, records);
      const bool stays = id.fence % 16 == 0;
      if (stays) {
        held.emplace(id, "o|");
      } else {
        core::append_record(core::Ended{token, id, core::End::released}, records);
      }
      ASSERT_TRUE(journal.append(records, stays ? 1 : 2));
      ASSERT_TRUE(journal.run_background());
    }
  }
  void damage_snapshot(const std::string& snapshot, bool reads) {
    if (reads) {
      disk_.bytes(snapshot)[snapshot_header_bytes + 30] ^= 4;
    } else {
      disk_.fail_next("read " + snapshot, EIO);
    }
  }

  History history_;
  std::vector<std::size_t> frame_ends_;
};

TEST_F(JournalDamageTest, ALastFrameThatIsCutShortAtAnyByteIsCutOff) {
  write_frames(4);
  const std::string whole = disk_.bytes(segment(1));
  const std::size_t begin = frame_ends_[2];
  const Index before = history_.after.size() - 1;
  Held held;
  std::size_t cut_off = 0;
  for (std::size_t end = begin; end < frame_ends_[3]; ++end) {
    std::string torn = whole;
    std::fill(torn.begin() + static_cast<std::ptrdiff_t>(end), torn.end(), '\0');
    const bool is_whole = torn == whole;  // only padding was cut off
    disk_.bytes(segment(1)) = torn;
    ASSERT_TRUE(open(held)) << fault_.message;
    ASSERT_EQ(recovered_.last_index == before, is_whole) << end;
    ASSERT_EQ(held, history_.after[recovered_.last_index]);
    if (is_whole) continue;
    ++cut_off;
    EXPECT_EQ(disk_.bytes(segment(1)).find_last_not_of('\0', end) < begin, true);
  }
  EXPECT_GT(cut_off, 32U);
}

TEST_F(JournalDamageTest, ASegmentThatLostItsEndIsRefused) {
  write_frames(4);
  const std::string whole = disk_.bytes(segment(1));
  for (const std::size_t size : {std::size_t{3000}, segment_header_bytes, frame_ends_[1],
                                 frame_ends_[3], whole.size() / 2, whole.size() - 1}) {
    disk_.put(segment(1), whole.substr(0, size));
    expect_refused(Kind::damaged, segment(1));
  }
}

TEST_F(JournalDamageTest, EachSegmentSaysHowLongItsFileIs) {
  write_generations();
  const StoreFiles all = files();
  EXPECT_GT(all.segments.size(), 1U);
  for (const Index first : all.segments) {
    const std::string bytes = disk_.bytes(segment(first));
    std::uint32_t blocks = 0;
    std::memcpy(&blocks, bytes.data() + 48, sizeof blocks);
    EXPECT_EQ(std::size_t{blocks} * 4'096, bytes.size());
  }
}

TEST_F(JournalDamageTest, ASegmentThatIsNotReadToItsEndIsRefused) {
  write_frames(4);
  for (const std::size_t size : {segment_header_bytes, frame_ends_[1]}) {
    disk_.limit_reads(size);
    expect_refused(Kind::unreadable, segment(1));
  }
}

TEST_F(JournalDamageTest, ASegmentThatIsTooLongIsRefusedAndNotSaidToBeTooShort) {
  write_frames(4);
  const std::string whole = disk_.bytes(segment(1));
  disk_.put(segment(1), whole + "x");
  expect_refused(Kind::damaged, segment(1));
  EXPECT_NE(fault_.message.find(" has " + std::to_string(whole.size() + 1) + " bytes"),
            std::string::npos)
      << fault_.message;
  EXPECT_NE(fault_.message.find("or something was written after it"), std::string::npos)
      << fault_.message;
}

TEST_F(JournalDamageTest, AFlippedBitAnywhereBeforeTheLastFrameIsRefused) {
  write_frames(4);
  const std::string whole = disk_.bytes(segment(1));
  std::size_t refused = 0;
  for (std::size_t at = segment_header_bytes; at < frame_ends_[2]; ++at) {
    std::string damaged = whole;
    damaged[at] = static_cast<char>(damaged[at] ^ (1 << random_() % 8));
    disk_.bytes(segment(1)) = damaged;
    Held held;
    const auto journal = open(held);
    if (journal) {  // padding between frames is not checked
      ASSERT_EQ(held, history_.after.back()) << at;
      continue;
    }
    ++refused;
    ASSERT_EQ(fault_.kind, Kind::damaged);
    ASSERT_NE(fault_.message.find(segment(1) + " at offset "), std::string::npos);
  }
  EXPECT_GT(refused, (frame_ends_[2] - segment_header_bytes) * 9 / 10);
}

TEST_F(JournalDamageTest, AZeroedSectorBeforeTheLastFrameIsRefused) {
  write_frames(12);
  const std::string whole = disk_.bytes(segment(1));
  for (std::size_t at = segment_header_bytes; at + 512 < frame_ends_[10]; at += 512) {
    disk_.bytes(segment(1)) = std::string(whole).replace(at, 512, 512, '\0');
    expect_refused(Kind::damaged, segment(1));
  }
}

TEST_F(JournalDamageTest, AFlippedBitInTheLastFrameLosesThatOneAtMost) {
  write_frames(4);
  const std::string whole = disk_.bytes(segment(1));
  for (std::size_t at = frame_ends_[2]; at < frame_ends_[3]; ++at) {
    std::string damaged = whole;
    damaged[at] = static_cast<char>(damaged[at] ^ (1 << random_() % 8));
    disk_.bytes(segment(1)) = damaged;
    Held held;
    ASSERT_TRUE(open(held)) << fault_.message;
    ASSERT_EQ(held, history_.after[recovered_.last_index]);
  }
}

TEST_F(JournalDamageTest, ADamagedSegmentHeaderIsRefused) {
  write_frames(2);
  disk_.bytes(segment(1))[40] ^= 1;
  expect_refused(Kind::damaged, segment(1));
}

TEST_F(JournalDamageTest, ANewerFormatIsRefusedAsSuch) {
  write_frames(2);
  std::string& identity = disk_.bytes(path("STORE"));
  identity.replace(identity.find("format 2"), 8, "format 3");
  expect_refused(Kind::newer_format, "STORE");
}

TEST_F(JournalDamageTest, AStoreOfVersion1IsReadAndWritten) {
  write_frames(4);
  std::string& identity = disk_.bytes(path("STORE"));
  identity.replace(identity.find("format 2"), 8, "format 1");
  const std::uint32_t version = 1;
  std::string& header = disk_.bytes(segment(1));
  std::memcpy(header.data() + 8, &version, sizeof version);
  const std::uint32_t checksum = crc32c(0, std::string_view(header).substr(0, 52));
  std::memcpy(header.data() + 52, &checksum, sizeof checksum);

  Held held;
  auto journal = open(held);
  ASSERT_TRUE(journal) << fault_.message;
  EXPECT_EQ(held, history_.after.back());
  ASSERT_TRUE(run(*journal, history_, 1200)) << "over segments and a snapshot, which say 2";
  EXPECT_FALSE(files().snapshots.empty());
  journal.reset();
  expect_nothing_acknowledged_is_lost(history_, "after a restart");
}

TEST_F(JournalDamageTest, WithADamagedNewestSnapshotTheOlderOneGivesTheSameState) {
  write_generations();
  ASSERT_EQ(files().snapshots.size(), 2U);
  const std::string newest = path(snapshot_name(files().snapshots.back()));
  for (const std::size_t at : {std::size_t{20}, snapshot_header_bytes + 30}) {
    const std::string whole = disk_.bytes(newest);
    disk_.bytes(newest)[at] ^= 4;
    warnings_.clear();
    expect_whole_with_a_warning_of(newest);
    disk_.bytes(newest) = whole;
  }
}

TEST_F(JournalDamageTest, WhereTheNewestSnapshotDoesNotReadTheOlderOneGivesTheSameState) {
  write_generations();
  ASSERT_EQ(files().snapshots.size(), 2U);
  const std::string newest = path(snapshot_name(files().snapshots.back()));
  disk_.fail_next("read " + newest, EIO);
  expect_whole_with_a_warning_of(newest);
}

TEST_F(JournalDamageTest, ABackupOfAStoreWithABadNewestSnapshotHasTheOlderOneAndSaysSo) {
  write_generations();
  ASSERT_EQ(files().snapshots.size(), 2U);
  const std::string newest = path(snapshot_name(files().snapshots.back()));
  for (const bool reads : {false, true}) {
    damage_snapshot(newest, reads);
    const auto copied = back_up_store(disk_, directory, reads ? "of damaged" : "of unread");
    ASSERT_TRUE(copied) << copied.error().message;
    EXPECT_EQ(copied->summary.last_index, history_.after.size() - 1);
    ASSERT_EQ(copied->warnings.size(), 1U);
    const std::string& warning = copied->warnings[0];
    EXPECT_TRUE(warning.starts_with(newest)) << warning;  // not its copy, which was removed
    EXPECT_EQ(warning.find("of damaged"), std::string::npos) << warning;
    EXPECT_EQ(warning.find("estore"), std::string::npos) << warning;
    EXPECT_EQ(warning.find("a block is damaged") != std::string::npos, reads) << warning;
  }
}

TEST_F(JournalDamageTest, ASealedSegmentThatIsBadOrGoneEndsSnapshotsAndNothingElse) {
  enum class How { unreadable, damaged, gone };
  for (const How how : {How::unreadable, How::damaged, How::gone}) {
    disk_ = SimulatedDisk{};
    history_ = {};
    const auto journal = open();
    ASSERT_TRUE(journal) << fault_.message;
    while (files().segments.size() < 2) ASSERT_TRUE(append(*journal, history_));
    switch (how) {
      case How::unreadable:
        disk_.fail_next("read " + segment(1), EIO);
        break;
      case How::damaged:
        disk_.bytes(segment(1))[segment_header_bytes + 40] ^= 4;
        break;
      case How::gone:
        disk_.erase(segment(1));
        break;
    }
    ASSERT_TRUE(run(*journal, history_, 400)) << background_fault_;
    EXPECT_EQ(journal->status().snapshots_failed, 1U);
    EXPECT_EQ(journal->status().snapshots, 0U);
    EXPECT_FALSE(journal->status().makes_snapshots);
    ASSERT_FALSE(warnings_.empty());
    EXPECT_NE(warnings_.back().find(segment(1)), std::string::npos);
  }
}

// For lack of file descriptors: nothing is wrong with the file.
TEST_F(JournalDamageTest, ASealedFileThatCannotBeOpenedForTheMomentPutsASnapshotOff) {
  for (const bool is_segment : {true, false}) {
    disk_ = SimulatedDisk{};
    Held expected;
    const auto journal = open();
    ASSERT_TRUE(journal) << fault_.message;
    append_until(*journal, expected, [&] { return files().snapshots.size() == 2; });
    const std::uint64_t made = journal->status().snapshots_made;
    const Index newest = files().snapshots.back();
    disk_.fail_next("open " + (is_segment ? path("journal") : path(snapshot_name(newest))), EMFILE);
    append_until(*journal, expected, [&] { return journal->status().snapshots_failed == 1; });
    EXPECT_FALSE(journal->status().makes_snapshots);
    EXPECT_EQ(files().snapshots.back(), newest) << "it was thrown away";
    append_until(*journal, expected, [&] { return journal->status().snapshots_made > made; });
    EXPECT_TRUE(journal->status().makes_snapshots);
    EXPECT_EQ(files().snapshots.front(), newest);
    EXPECT_EQ(journal->status().snapshots_failed, 1U);
  }
}

TEST_F(JournalDamageTest, ForWantOfADescriptorTheJournalDoesNotEnd) {
  for (const std::string call : {"open store/snapshot", "open store/prepared", "list store"}) {
    for (const int error : {EMFILE, ENFILE}) {
      SCOPED_TRACE(call);
      disk_ = SimulatedDisk{};
      Held expected;
      auto journal = open();
      ASSERT_TRUE(journal) << fault_.message;
      ASSERT_TRUE(journal->run_background());
      disk_.fail_next(call, error);
      append_until(*journal, expected, [&] { return disk_.has_failed(); });
      append_until(*journal, expected, [&] { return journal->status().snapshots_made == 3; });
      EXPECT_EQ(journal->status().snapshots_failed, call == "open store/snapshot" ? 1U : 0U);
      EXPECT_EQ(journal->room_for(core::record_bytes_max, false, 0), core::Room::enough);
      journal.reset();
      EXPECT_EQ(files().snapshots.size(), 2U);
      expect_held_after_a_start(expected);
    }
  }
}

TEST_F(JournalDamageTest, WithADamagedNewestSnapshotTheNextIsMadeOfWhatIsBeforeIt) {
  for (const std::size_t snapshots : {1U, 2U}) {
    for (const bool reads : {false, true}) {
      disk_ = SimulatedDisk{};
      Held expected;
      auto journal = open();
      ASSERT_TRUE(journal) << fault_.message;
      append_until(*journal, expected, [&] { return files().snapshots.size() == snapshots; });
      const std::vector<Index> before = files().snapshots;
      const std::string newest = path(snapshot_name(before.back()));
      damage_snapshot(newest, reads);
      warnings_.clear();
      append_until(*journal, expected,
                   [&] { return journal->status().snapshots_made > snapshots; });
      EXPECT_EQ(journal->status().snapshots_failed, 0U);
      EXPECT_TRUE(journal->status().makes_snapshots);
      ASSERT_EQ(warnings_.size(), 1U);
      EXPECT_TRUE(warnings_[0].starts_with(reads ? newest : "cannot read " + newest))
          << warnings_[0];
      journal.reset();

      // The damaged one is removed, and the files that the new one was made of are kept for it.
      const std::vector<Index> after = files().snapshots;
      ASSERT_EQ(after.size(), snapshots);
      EXPECT_GT(after.back(), before.back());
      EXPECT_EQ(after.front() == before.front(), snapshots == 2);
      const auto inspected =
          inspect_store(disk_, directory, [](Index, const core::Record&) { return true; });
      ASSERT_TRUE(inspected) << inspected.error().message;
      for (const bool newest_is_whole : {true, false}) {
        if (!newest_is_whole) damage_snapshot(path(snapshot_name(after.back())), true);
        warnings_.clear();
        expect_held_after_a_start(expected);
        EXPECT_EQ(warnings_.empty(), newest_is_whole);
      }
    }
  }
}

TEST_F(JournalDamageTest, WhereTheNewestSnapshotIsGoneTheNextIsMadeOfWhatIsBeforeIt) {
  for (const std::size_t snapshots : {1U, 2U}) {
    disk_ = SimulatedDisk{};
    Held expected;
    auto journal = open();
    ASSERT_TRUE(journal) << fault_.message;
    append_until(*journal, expected, [&] { return files().snapshots.size() == snapshots; });
    disk_.erase(path(snapshot_name(files().snapshots.back())));
    append_until(*journal, expected, [&] { return journal->status().snapshots_made > snapshots; });
    EXPECT_EQ(journal->status().snapshots_failed, 0U);
    EXPECT_EQ(background_fault_, "");
    journal.reset();
    expect_held_after_a_start(expected);
  }
}

// The older snapshot's segments are only there in case the newest is damaged.
TEST_F(JournalDamageTest, ASegmentThatIsGoneAndNotNeededAnyMoreIsNoFault) {
  Held expected;
  auto journal = open();
  ASSERT_TRUE(journal) << fault_.message;
  append_until(*journal, expected, [&] { return files().snapshots.size() == 2; });
  disk_.erase(segment(files().segments.front()));
  const auto made = journal->status().snapshots_made;
  append_until(*journal, expected, [&] { return journal->status().snapshots_made > made + 1; });
  EXPECT_EQ(background_fault_, "");
  EXPECT_EQ(journal->status().snapshots_failed, 0U);
  journal.reset();
  expect_held_after_a_start(expected);
}

TEST_F(JournalDamageTest, WithADamagedNewestSnapshotTheSnapshotsGoOnAsBefore) {
  Held expected;
  auto journal = open();
  ASSERT_TRUE(journal) << fault_.message;
  for (std::uint64_t made = 2; made < 12; made += 2) {
    append_until(*journal, expected, [&] { return journal->status().snapshots_made == made; });
    damage_snapshot(path(snapshot_name(files().snapshots.back())), made % 4 == 0);
  }
  append_until(*journal, expected, [&] { return journal->status().snapshots_made == 12; });
  EXPECT_EQ(journal->status().snapshots, 2U);
  journal.reset();
  EXPECT_EQ(files().snapshots.size(), 2U);
  EXPECT_EQ(files().segments.front(), files().snapshots.front() + 1);
  expect_held_after_a_start(expected);
}

// A restored backup has only its newest snapshot: what recovery cannot read, no snapshot is made
// of.
TEST_F(JournalDamageTest, WithADamagedNewestSnapshotAndNothingBeforeItNoneIsMade) {
  Held expected;
  auto journal = open();
  ASSERT_TRUE(journal) << fault_.message;
  append_until(*journal, expected, [&] { return journal->status().snapshots_made == 2; });
  journal.reset();
  const StoreFiles found = files();
  disk_.erase(path(snapshot_name(found.snapshots.front())));
  for (const Index first : found.segments) {
    if (first <= found.snapshots.back()) disk_.erase(segment(first));
  }
  journal = open();
  ASSERT_TRUE(journal) << fault_.message;
  const std::string only = path(snapshot_name(found.snapshots.back()));
  damage_snapshot(only, true);
  warnings_.clear();
  append_until(*journal, expected, [&] { return !journal->status().makes_snapshots; });
  EXPECT_EQ(journal->status().snapshots_failed, 1U);
  EXPECT_EQ(journal->status().snapshots_made, 0U);
  ASSERT_EQ(warnings_.size(), 1U);
  EXPECT_NE(warnings_[0].find(only), std::string::npos) << warnings_[0];
  EXPECT_TRUE(disk_.has(only));
}

// First examined here: a start reads only from the newest snapshot on.
TEST_F(JournalDamageTest, NoSnapshotIsMadeOfASegmentThatDoesNotContinueTheOneBefore) {
  Held expected;
  auto journal = open();
  ASSERT_TRUE(journal) << fault_.message;
  append_until(*journal, expected, [&] { return journal->status().snapshots_made == 1; });
  const std::vector<Index> segments = files().segments;
  ASSERT_GE(segments.size(), 2U);
  ASSERT_EQ(files().snapshots, std::vector<Index>{segments[1] - 1});
  // The first one with a different history.
  const std::string first = disk_.bytes(segment(1));
  std::string other = first.substr(0, segment_header_bytes);
  const auto id = read_identity(disk_, directory);
  ASSERT_TRUE(id);
  const auto header = decode_segment_header(first, *id, segment(1));
  ASSERT_TRUE(header);
  std::uint32_t previous = 0;
  const SegmentEnd end = scan_segment(first, *header, [&](Frame frame) {
    frame.synced_index = 0;
    frame.previous = previous;
    previous = append_frame(frame, header->salt, other);
  });
  ASSERT_EQ(end.next_index, segments[1]);
  other.resize(first.size(), '\0');
  disk_.put(segment(1), other);
  damage_snapshot(path(snapshot_name(files().snapshots.back())), true);
  warnings_.clear();
  append_until(*journal, expected, [&] { return !journal->status().makes_snapshots; });
  ASSERT_EQ(warnings_.size(), 1U);
  EXPECT_NE(warnings_[0].find("does not continue"), std::string::npos) << warnings_[0];
}

TEST_F(JournalDamageTest, WhatADamagedSnapshotSaidBeforeTheDamageIsForgotten) {
  const std::string meta(core::meta_bytes_max, 'm');
  {
    const auto journal = open();
    ASSERT_TRUE(journal) << fault_.message;
    for (core::Fence fence = 1; fence <= 600; ++fence) {
      core::Token token;
      std::memcpy(token.bytes.data(), &fence, sizeof fence);
      std::string records;
      core::append_record(core::Granted{token, {fence, 0}, {}, "o", {}, {}, {}, meta}, records);
      ASSERT_TRUE(journal->append(records, 1));
      ASSERT_TRUE(journal->run_background());
    }
  }
  Held expected;
  ASSERT_TRUE(open(expected)) << fault_.message;
  ASSERT_EQ(expected.size(), 600U);
  std::string& newest = disk_.bytes(path(snapshot_name(files().snapshots.back())));
  const std::size_t last_block = newest.size() - snapshot_block_bytes;
  ASSERT_GT(last_block, snapshot_header_bytes) << "records are read before the damage";
  newest[last_block + 30] ^= 4;
  expect_held_after_a_start(expected);
  EXPECT_FALSE(warnings_.empty());
}

TEST_F(JournalDamageTest, WithBothSnapshotsDamagedTheStoreIsRefused) {
  write_generations();
  const std::vector<Index> snapshots = files().snapshots;
  for (const Index index : snapshots) disk_.bytes(path(snapshot_name(index)))[20] ^= 4;
  expect_refused(Kind::damaged, "missing");
  for (const Index index : snapshots) expect_refused(Kind::damaged, snapshot_name(index));
}

TEST_F(JournalDamageTest, MissingFilesAreNeverTakenForAnEmptyStore) {
  write_generations();
  const SimulatedDisk whole = disk_;
  const StoreFiles found = files();
  ASSERT_GE(found.segments.size(), 3U);
  for (std::size_t i = 1; i + 1 < found.segments.size(); ++i) {
    if (found.segments[i] <= found.snapshots.back()) continue;  // not needed
    disk_.erase(segment(found.segments[i]));
    expect_refused(Kind::damaged, "missing");
    disk_ = whole;
  }
  disk_.erase(segment(found.segments.back()));
  expect_refused(Kind::damaged, segment(found.segments.back()));
  disk_ = whole;
  disk_.erase(path("STORE"));
  Held held;
  EXPECT_FALSE(open(held));
  EXPECT_EQ(fault_.kind, Kind::damaged);
  disk_ = whole;
  for (const Index first : found.segments) disk_.erase(segment(first));
  expect_refused(Kind::damaged, directory);
}

TEST_F(JournalDamageTest, ALastFrameThatEndsInZerosShowsDamageBeforeItAsWell) {
  write_frames(3);
  {
    const auto journal = open();
    ASSERT_TRUE(journal) << fault_.message;
    std::string record;  // it ends in nothing but lengths of zero
    core::append_record(core::Granted{{}, {1'000, 0}, {}, {}, {}}, record);
    ASSERT_TRUE(journal->append(record, 1));
  }
  const std::string whole = disk_.bytes(segment(1));
  for (std::size_t at = frame_ends_[1]; at < frame_ends_[1] + 32; ++at) {
    disk_.bytes(segment(1)) = whole;
    disk_.bytes(segment(1))[at] ^= 1;
    expect_refused(Kind::damaged, segment(1));
  }
}

TEST_F(JournalDamageTest, ALastSegmentIsMissedAlsoWhenACrashCameBeforeTheSealOfTheOneBefore) {
  write_generations();
  const std::vector<Index> segments = files().segments;
  ASSERT_GE(segments.size(), 2U);
  // As a crash between naming the new segment and writing the seal leaves it.
  disk_.bytes(segment(segments[segments.size() - 2])).replace(seal_offset, 16, 16, '\0');
  ASSERT_TRUE(open()) << fault_.message;
  disk_.erase(segment(segments.back()));
  expect_refused(Kind::damaged, segment(segments.back()));
}

TEST_F(JournalDamageTest, ABackupOfAStoreWhoseLastSegmentIsNotWholeIsRefused) {
  write_generations();
  const SimulatedDisk whole = disk_;
  const std::string last = segment(files().segments.back());
  const auto backed_up = back_up_store(disk_, directory, "whole");
  ASSERT_TRUE(backed_up) << backed_up.error().message;
  EXPECT_EQ(backed_up->summary.last_index, history_.after.size() - 1);

  disk_.erase(last);
  const auto without_last = back_up_store(disk_, directory, "without");
  ASSERT_FALSE(without_last);
  EXPECT_EQ(without_last.error().kind, Kind::damaged);

  disk_ = whole;
  disk_.put(last, disk_.bytes(last).substr(0, disk_.bytes(last).size() - 100));
  const auto cut_short = back_up_store(disk_, directory, "short");
  ASSERT_FALSE(cut_short);
  EXPECT_EQ(cut_short.error().kind, Kind::damaged);
}

TEST_F(JournalDamageTest, ABackupOfAStoreWithoutItsSnapshotsSaysWhatIsMissing) {
  write_generations();
  ASSERT_GT(files().segments.front(), 1U);
  for (const Index index : files().snapshots) disk_.erase(path(snapshot_name(index)));
  const auto inspected =
      inspect_store(disk_, directory, [](Index, const core::Record&) { return true; });
  ASSERT_FALSE(inspected);
  const auto copied = back_up_store(disk_, directory, "copy");
  ASSERT_FALSE(copied);
  EXPECT_EQ(copied.error().kind, Kind::damaged);
  EXPECT_EQ(copied.error().message, inspected.error().message);
  EXPECT_FALSE(disk_.has("copy/STORE"));
}

TEST_F(JournalDamageTest, AnotherStoresSegmentIsRefused) {
  write_frames(2);
  const std::string own = disk_.bytes(segment(1));
  disk_ = SimulatedDisk{};
  history_ = {};
  write_frames(2);
  disk_.bytes(segment(1)) = own;
  expect_refused(Kind::damaged, "another store");
}

TEST_F(JournalDamageTest, AnOpenStoreIsNotOpenedTwice) {
  const auto journal = open();
  ASSERT_TRUE(journal);
  Held held;
  EXPECT_FALSE(open(held));
  EXPECT_EQ(fault_.kind, Kind::in_use);
  disk_.erase(path("LOCK"));  // as somebody who takes it for the leftover of a crash would
  EXPECT_FALSE(open(held));
  EXPECT_EQ(fault_.kind, Kind::in_use);
}

TEST_F(JournalDamageTest, AStoreThatAServerHasOpenIsNotInspected) {
  const auto inspect = [this] {
    return inspect_store(disk_, directory, [](Index, const core::Record&) { return true; });
  };
  write_frames(3);
  auto journal = open();
  ASSERT_TRUE(journal);
  for (const char* const without : {"", "LOCK"}) {
    if (*without != '\0') disk_.erase(path(without));
    const auto inspected = inspect();
    ASSERT_FALSE(inspected);
    EXPECT_EQ(inspected.error().kind, Kind::in_use);
  }
  journal.reset();
  bool is_first = true;
  const auto inspected = inspect_store(disk_, directory, [&](Index, const core::Record&) {
    if (!std::exchange(is_first, false)) return true;
    EXPECT_FALSE(open());  // nor can a server open a store that is being read
    EXPECT_EQ(fault_.kind, Kind::in_use);
    EXPECT_TRUE(inspect());
    return true;
  });
  ASSERT_TRUE(inspected) << inspected.error().message;
  EXPECT_FALSE(is_first);
}

// A backup on a read-only file system, or a snapshot of a file system.
TEST_F(JournalDamageTest, AStoreIsInspectedAlsoWhereNothingCanBeWritten) {
  write_generations();
  const auto expect_whole = [this] {
    const auto inspected =
        inspect_store(disk_, directory, [](Index, const core::Record&) { return true; });
    ASSERT_TRUE(inspected) << inspected.error().message;
    EXPECT_EQ(inspected->summary.last_index, history_.after.size() - 1);
  };
  disk_.erase(path("LOCK"));  // the copy was made without it
  expect_whole();
  EXPECT_FALSE(disk_.has(path("LOCK")));
  disk_.make_read_only();
  expect_whole();
  disk_.put(path("LOCK"), "");
  expect_whole();
}

TEST_F(JournalDamageTest, InspectionCountsWhatIsThere) {
  write_generations();
  const auto inspected =
      inspect_store(disk_, directory, [](Index, const core::Record&) { return true; });
  ASSERT_TRUE(inspected) << inspected.error().message;
  EXPECT_EQ(inspected->locks, history_.after.back().size());
  EXPECT_EQ(inspected->summary.last_index, history_.after.size() - 1);
  EXPECT_EQ(inspected->summary.last_fence, history_.last_fence);
  EXPECT_EQ(inspected->snapshots, 2U);
  EXPECT_EQ(inspected->segments, files().segments.size());
}

}  // namespace
}  // namespace locker::persistence
