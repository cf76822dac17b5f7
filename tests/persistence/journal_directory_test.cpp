// Tests in which the store's directory is moved, replaced or removed while the journal is open.

#include <cerrno>
#include <map>
#include <string>

#include "persistence/store_opening.hpp"
#include "tests/persistence/journal_fixture.hpp"

namespace locker::persistence {
namespace {

class JournalDirectoryTest : public JournalTest {
 protected:
  static constexpr const char* moved = "moved";

  void move_and_copy() {
    disk_.move_directory(directory, moved);
    ASSERT_TRUE(disk_.make_directory(directory));
    for (const auto& [file, bytes] : files_in(moved)) disk_.put(path(file), bytes);
  }

  [[nodiscard]] std::map<std::string, std::string> files_in(const std::string& in) {
    std::map<std::string, std::string> files;
    for (const std::string& each : disk_.paths()) {
      if (each.starts_with(in + "/")) files[each.substr(in.size() + 1)] = disk_.bytes(each);
    }
    return files;
  }

  void move_back() {
    disk_.restart_process();
    for (const auto& [file, bytes] : files_in(directory)) disk_.erase(path(file));
    disk_.move_directory(moved, directory);
  }
};

TEST_F(JournalDirectoryTest, WhatIsAcknowledgedIsInTheMovedOneAndTheNextSegmentIsNotBegun) {
  History history;
  {
    const auto journal = open();
    ASSERT_TRUE(journal) << fault_.message;
    ASSERT_TRUE(run(*journal, history, 20));
    move_and_copy();
    ASSERT_TRUE(disk_.has(path(std::string{prepared_name}))) << "it could be taken for one's own";
    const auto copied = files_in(directory);
    const Index before = history.acknowledged;
    while (append(*journal, history)) ASSERT_LT(history.acknowledged, 1'500U);
    EXPECT_GT(history.acknowledged, before);
    EXPECT_EQ(files_in(directory), copied) << "it belongs to somebody else";
  }
  EXPECT_NE(background_fault_.find(moved), std::string::npos) << background_fault_;
  move_back();
  expect_nothing_acknowledged_is_lost(history, "moved back");
}

TEST_F(JournalDirectoryTest, TheBackgroundNoticesIt) {
  History history;
  const auto journal = open();
  ASSERT_TRUE(journal) << fault_.message;
  ASSERT_TRUE(run(*journal, history, 20));
  move_and_copy();
  const auto copied = files_in(directory);
  const auto done = journal->run_background();
  ASSERT_FALSE(done);
  EXPECT_NE(done.error().message.find(moved), std::string::npos) << done.error().message;
  EXPECT_EQ(files_in(directory), copied);
}

TEST_F(JournalDirectoryTest, MovedAwayAndBackNothingHappened) {
  History history;
  {
    const auto journal = open();
    ASSERT_TRUE(journal) << fault_.message;
    ASSERT_TRUE(run(*journal, history, 20));
    disk_.move_directory(directory, moved);
    ASSERT_TRUE(append(*journal, history));
    disk_.move_directory(moved, directory);
    ASSERT_TRUE(run(*journal, history, 300));
  }
  EXPECT_EQ(background_fault_, "");
  disk_.restart_process();
  expect_nothing_acknowledged_is_lost(history, "moved back");
}

// Whoever created it, and whatever its path looks like: otherwise a power failure loses all of it.
TEST_F(JournalDirectoryTest, ANewStoreSyncsTheDirectoryThatItIsIn) {
  for (const std::string called : {directory, "."}) {
    SCOPED_TRACE(called);
    disk_ = {};
    disk_.fail_next("sync the directory " + called + "/..", EIO);
    const auto opened = open_store(disk_, called, segment_bytes_min, random_, {});
    EXPECT_FALSE(opened);
    EXPECT_TRUE(disk_.has_failed());
  }
}

}  // namespace
}  // namespace locker::persistence
