// Power cuts and failing calls at every call that the journal makes.

#include <cerrno>
#include <cstdlib>

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
  // Frames enough for several rotations and a snapshot; the cut moves through all of it, and
  // through the recovery behind it.
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
      for (const std::uint64_t again : {3U, 9U}) {  // the power goes in the recovery too
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

TEST_F(JournalCrashTest, WithoutASyncAPowerCutLeavesABeginningOfWhatWasSaid) {
  for (int round = 0; round < 200; ++round) {
    disk_ = SimulatedDisk{};
    History history;
    disk_.cut_power_at(60 + random_() % 400);
    Held held;
    if (const auto journal = open(held, Durability::none)) run(*journal, history, 400);
    disk_.restart(Survival::something, random_);
    history.acknowledged = 0;  // nothing was promised
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
        // The process ends, and the machine goes on: what was written is in the cache.
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
