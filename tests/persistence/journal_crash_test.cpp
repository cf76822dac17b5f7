// Tests of power failures and failing calls, at every call that the journal makes.

#include <cerrno>
#include <cstdlib>
#include <functional>
#include <set>
#include <type_traits>
#include <utility>

#include "tests/persistence/journal_fixture.hpp"

namespace locker::persistence {
namespace {

using test::SimulatedDisk;
using Survival = SimulatedDisk::Survival;

constexpr Survival survivals[] = {Survival::nothing, Survival::everything, Survival::something};

std::string describe(std::uint64_t call, Survival survival) {
  return "cut at call " + std::to_string(call) + ", survival " +
         std::to_string(static_cast<int>(survival));
}

class JournalCrashTest : public JournalTest {};

TEST_F(JournalCrashTest, RestartsGiveTheSameStateOverRotationsAndSnapshots) {
  History history;
  for (int round = 0; round < 5; ++round) {
    Held held;
    auto journal = open(held);
    ASSERT_TRUE(journal) << fault_.message;
    EXPECT_EQ(held, history.after.back());
    EXPECT_EQ(recovered_.last_index, history.after.size() - 1);
    EXPECT_EQ(recovered_.last_fence, history.last_fence);
    ASSERT_TRUE(run(*journal, history, 400));
  }
  EXPECT_TRUE(warnings_.empty()) << warnings_.front();
  std::vector<std::string> names;
  for (const std::string& each : disk_.paths()) names.push_back(each.substr(6));
  const StoreFiles found = sort_files(names);
  EXPECT_EQ(found.snapshots.size(), 2U);
  EXPECT_LE(found.segments.front(), found.snapshots.front() + 1);
  EXPECT_LT(found.segments.size(), 8U);
}

TEST_F(JournalCrashTest, APowerCutAtAnyCallLosesNothingAcknowledgedAndTheJournalGoesOn) {
  // Enough frames for several rotations and a snapshot; the power failure moves through all of it,
  // and through the recovery that follows.
  constexpr int frames = 260;
  for (const Survival survival : survivals) {
    for (std::uint64_t cut = 1;; cut += 1 + cut / 40) {
      disk_ = SimulatedDisk{};
      History history;
      disk_.cut_power_at(cut);
      if (const auto journal = open()) run(*journal, history, frames);
      const bool was_cut = disk_.is_off();
      disk_.restart(survival, random_);
      const std::string what = describe(cut, survival);
      for (const std::uint64_t again : {3U, 9U}) {  // the power fails during recovery too
        disk_.cut_power_at(again);
        open();
        disk_.restart(survival, random_);
      }
      expect_nothing_acknowledged_is_lost(history, what);
      if (HasFatalFailure()) return;
      history.after.resize(recovered_.last_index + 1);
      history.last_fence += 10;
      {
        const auto journal = open();
        ASSERT_TRUE(journal) << what << ": " << fault_.message;
        ASSERT_TRUE(run(*journal, history, 20)) << what;
      }
      expect_nothing_acknowledged_is_lost(history, what + ", gone on");
      if (HasFatalFailure()) return;
      if (!was_cut) break;
    }
  }
}

TEST_F(JournalCrashTest, WhatAKilledProcessLeavesInTheCacheIsOnTheDiskBeforeTheNextOneGoesOn) {
  constexpr int frames = 260;
  for (const bool fails : {false, true}) {
    for (std::uint64_t at = 1;; at += 1 + at / 200) {
      disk_ = SimulatedDisk{};
      History history;
      fails ? disk_.fail_at(at, EIO, false) : disk_.cut_power_at(at);
      if (const auto journal = open()) run(*journal, history, frames);
      const bool was_struck = disk_.is_off() || disk_.has_failed();
      const std::string what = "struck at \"" + disk_.struck_call() + "\", then a power cut";
      disk_.restart_process();
      expect_nothing_acknowledged_is_lost(history, what);
      if (HasFatalFailure()) return;
      history.after.resize(recovered_.last_index + 1);
      history.last_fence += 10;
      {
        const auto journal = open();
        ASSERT_TRUE(journal) << what << ": " << fault_.message;
        ASSERT_TRUE(append(*journal, history)) << what;
      }
      disk_.restart(Survival::nothing, random_);
      expect_nothing_acknowledged_is_lost(history, what);
      if (HasFatalFailure()) return;
      if (!was_struck) break;
    }
  }
}

/// Forwards everything, and calls a function before and after each call that creates, renames,
/// removes or locks a name, and each directory sync.
class WatchedNames final : public FileSystem {
 public:
  WatchedNames(SimulatedDisk& disk, std::function<void(const std::string&)> on_moment)
      : disk_(disk), on_moment_(std::move(on_moment)) {}

  IoResult<std::unique_ptr<File>> open(const std::string& path, Access access) override {
    if (access != Access::create) return disk_.open(path, access);
    return watched("create " + path, [&] { return disk_.open(path, access); });
  }
  IoResult<void> rename(const std::string& from, const std::string& to) override {
    return watched("rename to " + to, [&] { return disk_.rename(from, to); });
  }
  IoResult<void> remove(const std::string& path) override {
    return watched("remove " + path, [&] { return disk_.remove(path); });
  }
  IoResult<std::vector<std::string>> list(const std::string& directory) override {
    return disk_.list(directory);
  }
  IoResult<void> make_directory(const std::string& path) override {
    return watched("make " + path, [&] { return disk_.make_directory(path); });
  }
  IoResult<void> sync_directory(const std::string& path) override {
    return watched("sync " + path, [&] { return disk_.sync_directory(path); });
  }
  IoResult<std::unique_ptr<FileLock>> lock(const std::string& path, Locking locking) override {
    return watched("lock " + path, [&] { return disk_.lock(path, locking); });
  }
  IoResult<std::uint64_t> free_space(const std::string& directory) override {
    return disk_.free_space(directory);
  }
  IoResult<void> hold_directory(const std::string& path) override {
    return disk_.hold_directory(path);
  }
  IoResult<void> check_held_directory() override { return disk_.check_held_directory(); }

 private:
  template <typename Call>
  std::invoke_result_t<Call> watched(const std::string& what, const Call& call) {
    on_moment_("before \"" + what + "\"");
    auto result = call();
    on_moment_("behind \"" + what + "\"");
    return result;
  }

  SimulatedDisk& disk_;
  std::function<void(const std::string&)> on_moment_;
};

TEST_F(JournalCrashTest, APowerCutAroundEachChangeOfANameLosesNothingAcknowledged) {
  History history;
  std::mt19937_64 random{2};
  std::set<std::string> kinds;
  const auto expect_whole = [&](SimulatedDisk& disk, const std::string& what) {
    Held held;
    const auto journal = open_on(disk, held, Durability::always);
    ASSERT_TRUE(journal) << what << ": " << fault_.message;
    ASSERT_GE(recovered_.last_index, history.acknowledged) << what;
    ASSERT_LT(recovered_.last_index, history.after.size()) << what;
    ASSERT_EQ(held, history.after[recovered_.last_index]) << what;
  };
  WatchedNames files{disk_, [&](const std::string& moment) {
                       if (HasFatalFailure()) return;
                       kinds.insert(moment.substr(0, moment.find(' ', 9)));
                       for (const Survival survival :
                            {Survival::nothing, Survival::everything, Survival::something,
                             Survival::something, Survival::beginning}) {
                         SimulatedDisk cut = disk_;
                         cut.restart(survival, random);
                         SimulatedDisk cut_again = cut;
                         expect_whole(cut, moment);
                         cut_again.cut_power_at(1 + random() % 24);
                         Held ignored;
                         open_on(cut_again, ignored, Durability::always);
                         cut_again.restart(survival, random);
                         expect_whole(cut_again, moment + ", and again");
                       }
                     }};
  for (int round = 0; round < 2; ++round) {
    Held held;
    const auto journal = open_on(files, held, Durability::always);
    ASSERT_TRUE(journal) << fault_.message;
    ASSERT_TRUE(run(*journal, history, 700));
    if (HasFatalFailure()) return;
  }
  EXPECT_GE(kinds.size(), 10U) << "before and behind of create, rename, remove, sync, lock";
}

TEST_F(JournalCrashTest, WithoutASyncAPowerCutLeavesABeginningOfWhatWasSaid) {
  for (int round = 0; round < 200; ++round) {
    disk_ = SimulatedDisk{};
    History history;
    disk_.cut_power_at(60 + random_() % 400);
    Held held;
    if (const auto journal = open(held, Durability::none)) run(*journal, history, 400);
    disk_.restart(Survival::something, random_);
    history.acknowledged = 0;  // nothing was acknowledged
    expect_nothing_acknowledged_is_lost(history, "round " + std::to_string(round));
    if (HasFatalFailure()) return;
  }
}

TEST_F(JournalCrashTest, AfterABarrierAPowerCutLosesNothingThatWasBeforeIt) {
  for (int round = 0; round < 50; ++round) {
    disk_ = SimulatedDisk{};
    History history;
    {
      Held held;
      const auto journal = open(held, Durability::interval);
      ASSERT_TRUE(journal) << fault_.message;
      ASSERT_TRUE(run(*journal, history, 30));
      ASSERT_TRUE(journal->barrier());
      const Index durable = history.acknowledged;
      disk_.cut_power_at(25);
      run(*journal, history, 100);
      history.acknowledged = durable;
    }
    disk_.restart(Survival::something, random_);
    expect_nothing_acknowledged_is_lost(history, "round " + std::to_string(round));
    if (HasFatalFailure()) return;
  }
}

TEST_F(JournalCrashTest, AFailingCallIsReportedAndLosesNothingAcknowledged) {
  for (const bool for_ever : {false, true}) {
    for (const int error : {EIO, ENOSPC}) {
      for (std::uint64_t at = 1;; at += 1 + at / 40) {
        disk_ = SimulatedDisk{};
        History history;
        disk_.fail_at(at, error, for_ever);
        if (const auto journal = open()) run(*journal, history, 260);
        const bool has_failed = disk_.has_failed();
        // The process ends, the machine does not: what was written is in the cache.
        disk_.restart(Survival::something, random_);
        expect_nothing_acknowledged_is_lost(
            history, "call " + std::to_string(at) + " fails with " + std::to_string(error));
        if (HasFatalFailure()) return;
        if (!has_failed) break;
      }
    }
  }
}

}  // namespace
}  // namespace locker::persistence
