// The entry point to the locks, without connections.
#include "server/service/lock_service.hpp"

#include <gtest/gtest.h>

#include <chrono>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "tests/server/counted_waker.hpp"
#include "tests/support/gated_journal.hpp"

namespace locker::server {
namespace {

using std::chrono::milliseconds;

class LockServiceTest : public testing::Test {
 protected:
  ~LockServiceTest() override { journal_.open_gate(); }

  core::Token open_lease(core::Milliseconds ttl) {
    return service_.open_lease({}, {}, ttl).answer.token;
  }
  bool is_living(const core::Token& token) {
    return service_.renew(token, {}).answer.outcome == core::LeaseOutcome::living;
  }

  test::GatedJournal journal_;
  EventLog events_{10, 0, 1};
  GroupCommit commit_{journal_, 0, [](const core::Fault&) {},
                      [this](Index durable) { events_.publish(durable); }};
  LockService service_{std::make_unique<core::Arbiter>(1, core::Arbiter::Limits{}),
                       commit_,
                       events_,
                       journal_,
                       1,
                       {}};
};

TEST_F(LockServiceTest, WhileTheDiskStandsStillNoLeaseEnds) {
  const core::Token token = open_lease(core::Milliseconds{600});
  journal_.close_gate();
  std::thread committing{[this] { commit_.commit_or_hand_over(); }};
  journal_.wait_for_appends(1);
  std::this_thread::sleep_for(milliseconds{1500});
  // If that thread serves connections, their clients' renewals are read only now.
  journal_.open_gate();
  committing.join();
  EXPECT_TRUE(is_living(token));
  std::this_thread::sleep_for(milliseconds{300});
  EXPECT_TRUE(is_living(token));
  const auto would_live = [&] { return service_.look_at(token, {}).answer.is_living; };
  for (int looks = 0; looks < 5'000 && would_live(); ++looks) {
    std::this_thread::sleep_for(milliseconds{10});
  }
  EXPECT_FALSE(is_living(token));
}

TEST_F(LockServiceTest, OnceItStopsNoLeaseEndsByTime) {
  const core::Token token = open_lease(core::Milliseconds{200});
  const core::Token other = open_lease(core::Milliseconds{200});
  service_.begin_stop();
  std::this_thread::sleep_for(milliseconds{600});
  EXPECT_TRUE(is_living(token));
  EXPECT_EQ(service_.release_all(other).answer.outcome, core::ReleaseOutcome::released);
}

TEST_F(LockServiceTest, WhatACommandThatRecordsNothingFindsDueGetsToTheDisk) {
  const core::Token kept = open_lease(std::chrono::hours{1});
  const core::Token ending = open_lease(core::Milliseconds{50});
  const core::Token returned = open_lease(std::chrono::hours{1});
  commit_.commit_until(service_.status().index);
  journal_.close_gate();
  static_cast<void>(service_.take_back(returned));
  journal_.wait_for_appends(2);  // the timekeeper's: only renewals tell the time from here
  const auto is_ending_alive = [&] { return service_.look_at(ending, {}).answer.is_living; };
  while (is_ending_alive()) ASSERT_TRUE(is_living(kept));
  const Index end = service_.status().index;
  journal_.open_gate();
  for (int looks = 0; looks < 5'000 && !commit_.is_durable(end); ++looks) {
    std::this_thread::sleep_for(milliseconds{1});
  }
  EXPECT_TRUE(commit_.is_durable(end));
}

TEST_F(LockServiceTest, WhatFitsOfALargeLeaseIsNotAskedAgain) {
  const core::Token token = open_lease(std::chrono::hours{1});
  const auto take = [&](const std::string& name) {
    core::Path path;
    ASSERT_EQ(path.push_back(name), core::Path::Push::ok);
    core::AcquireCommand command;
    command.token = token;
    command.wanted.push_back({std::string{path.view().packed()}, {}});
    ASSERT_EQ(service_.acquire(command).answer.outcome, core::Outcome::granted);
  };
  std::string misfit;
  std::size_t asked = 0;
  const auto holds_only = [&](const LockService::Asker& asker) {
    asked = 0;
    const auto fits = [&](core::PathView path) {
      ++asked;
      return misfit.empty() || path.packed() != std::string(1, '\x01') + misfit;
    };
    return service_.holds_only(token, asker, fits).answer;
  };
  const auto take_many = [&] {
    for (char name = 'A'; name < 'A' + 26; ++name) {
      for (int i = 0; i < 10; ++i) take(name + std::to_string(i));
    }
  };
  constexpr LockService::Asker asker{7, 1};
  EXPECT_TRUE(holds_only(asker));
  EXPECT_EQ(asked, 0U);
  take("a");
  take_many();
  EXPECT_TRUE(holds_only(asker));
  EXPECT_EQ(asked, 261U);
  EXPECT_TRUE(holds_only(asker));
  EXPECT_EQ(asked, 0U);
  take("b");
  EXPECT_TRUE(holds_only(asker));
  EXPECT_EQ(asked, 1U);

  misfit = "b";
  EXPECT_FALSE(holds_only(asker));
  misfit = "a";  // the oldest lock; for these askers no yes is remembered
  EXPECT_FALSE(holds_only({8, 1}));
  EXPECT_FALSE(holds_only({8, 1}));
  EXPECT_FALSE(holds_only({7, 0}));

  static_cast<void>(service_.release_all(token));  // a new lease of this token is not known
  take("a");
  EXPECT_FALSE(holds_only(asker));
}

/// Waits for the end of a force.
class ForceWaiter {
 public:
  ForceWaiter() { later.start(waker_); }
  [[nodiscard]] bool is_told() const { return waker_.wakes != 0; }
  core::Forced wait() {
    waker_.wakes.wait(0);
    return later.decision().answer;
  }

  LockService::AwaitedForced later;

 private:
  CountedWaker waker_;
};

class LockServiceForceTest : public LockServiceTest {
 protected:
  static constexpr std::size_t locks = 60 * 256;  // more than four slices can end

  static std::string path(const std::string& first, int second) {
    core::Path path;
    EXPECT_EQ(path.push_back(first), core::Path::Push::ok);
    EXPECT_EQ(path.push_back(std::to_string(second)), core::Path::Push::ok);
    return std::string{path.view().packed()};
  }
  void take_many() {
    for (int group = 0; group < 60; ++group) {
      core::AcquireCommand command;
      for (int i = 0; i < 256; ++i) {
        command.wanted.push_back({path(std::to_string(group), i), {}});
      }
      ASSERT_EQ(service_.acquire(command).answer.outcome, core::Outcome::granted);
    }
  }
  core::Outcome take_another() {
    core::AcquireCommand command;
    command.wanted.push_back({path("another", 0), {}});
    return service_.acquire(command).answer.outcome;
  }
  static core::ForceFilter everything() {
    core::ForceFilter filter;
    filter.packed_prefix = "";
    return filter;
  }
};

TEST_F(LockServiceForceTest, OthersAreAnsweredWhileAForceGoesOn) {
  take_many();
  journal_.close_gate();  // held after each slice but the first
  ForceWaiter waiter;
  std::vector<AuditedLock> ended;
  ASSERT_FALSE(service_.force(everything(), "x", &ended, waiter.later).answer);
  const std::size_t left = service_.status().locks;
  EXPECT_GT(left, 0U);
  EXPECT_LT(left, locks);
  EXPECT_EQ(take_another(), core::Outcome::granted);
  EXPECT_FALSE(waiter.is_told());
  ForceWaiter brief;
  core::ForceFilter filter;
  filter.packed_path = path("another", 0);
  const auto another = service_.force(filter, "x", nullptr, brief.later);
  ASSERT_TRUE(another.answer);
  EXPECT_EQ(another.answer->count, 1U);
  EXPECT_FALSE(waiter.is_told());
  journal_.open_gate();
  const auto forced = waiter.wait();
  EXPECT_EQ(forced.outcome, core::Outcome::granted);
  EXPECT_EQ(forced.count, locks);
  EXPECT_EQ(ended.size(), audited_locks_max);
  EXPECT_EQ(service_.status().locks, 0U);
}

TEST_F(LockServiceForceTest, AForceBehindAnotherOneLeavesAloneTheNextHolder) {
  take_many();
  ASSERT_EQ(take_another(), core::Outcome::granted);
  journal_.close_gate();
  ForceWaiter waiter;
  core::ForceFilter many;
  many.packed_prefix = "";
  many.owner = "";
  ASSERT_FALSE(service_.force(many, "x", nullptr, waiter.later).answer);
  ForceWaiter behind;
  ASSERT_FALSE(service_.force(everything(), "x", nullptr, behind.later).answer);
  core::AcquireCommand command;
  command.wanted.push_back({path("next", 0), {}});
  ASSERT_EQ(service_.acquire(command).answer.outcome, core::Outcome::granted);
  journal_.open_gate();
  EXPECT_EQ(waiter.wait().count + behind.wait().count, locks + 1);
  EXPECT_EQ(service_.status().locks, 1U);
}

TEST_F(LockServiceForceTest, AForceThatNobodyHearsOfGoesOnAllTheSame) {
  take_many();
  journal_.close_gate();
  {
    ForceWaiter gone;
    std::vector<AuditedLock> ended;
    ASSERT_FALSE(service_.force(everything(), "x", &ended, gone.later).answer);
    service_.forget(gone.later);
  }
  ForceWaiter behind;
  ASSERT_FALSE(service_.force(everything(), "x", nullptr, behind.later).answer);
  journal_.open_gate();
  EXPECT_LT(behind.wait().count, locks / 2) << "but for its first slice the other one ended them";
  EXPECT_EQ(service_.status().locks, 0U);
}

TEST_F(LockServiceForceTest, AServerThatStopsDoesNotWaitForTheEndOfAForce) {
  take_many();
  journal_.close_gate();
  ForceWaiter waiter;
  ForceWaiter behind;
  ASSERT_FALSE(service_.force(everything(), "x", nullptr, waiter.later).answer);
  ASSERT_FALSE(service_.force(everything(), "x", nullptr, behind.later).answer);
  service_.begin_stop();
  const auto forced = waiter.wait();
  EXPECT_EQ(forced.outcome, core::Outcome::busy);
  const auto other = behind.wait();
  EXPECT_EQ(other.outcome, core::Outcome::busy);
  const std::size_t left = service_.status().locks;
  EXPECT_EQ(forced.count + other.count, locks - left);

  ForceWaiter late;
  const auto asked = service_.force(everything(), "x", nullptr, late.later);
  ASSERT_TRUE(asked.answer);
  EXPECT_EQ(asked.answer->outcome, core::Outcome::busy);
  EXPECT_GT(service_.status().locks, 0U);
  journal_.open_gate();
  std::this_thread::sleep_for(milliseconds{300});
  EXPECT_EQ(service_.status().locks, left - asked.answer->count);
}

TEST_F(LockServiceForceTest, AForceThatEndsLittleIsAnsweredAtOnce) {
  ASSERT_EQ(take_another(), core::Outcome::granted);
  ForceWaiter waiter;
  const auto forced = service_.force(everything(), "x", nullptr, waiter.later);
  ASSERT_TRUE(forced.answer);
  EXPECT_EQ(forced.answer->count, 1U);
  EXPECT_FALSE(waiter.is_told());
}

TEST_F(LockServiceForceTest, WhatTheFirstSliceEndedGetsToTheDiskWhenTheNextHasNoRoom) {
  ASSERT_EQ(take_another(), core::Outcome::granted);
  take_many();
  commit_.commit_until(service_.status().index);
  journal_.set_room(1);
  ForceWaiter waiter;
  ASSERT_FALSE(service_.force(everything(), "x", nullptr, waiter.later).answer);
  const Index end = service_.status().index;
  for (int looks = 0; looks < 5'000 && !commit_.is_durable(end); ++looks) {
    std::this_thread::sleep_for(milliseconds{1});
  }
  EXPECT_TRUE(commit_.is_durable(end));
  EXPECT_EQ(service_.status().locks, locks);
  service_.forget(waiter.later);
}

}  // namespace
}  // namespace locker::server
