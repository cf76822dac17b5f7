#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <tuple>
#include <utility>
#include <variant>
#include <vector>

#include "core/arbiter.hpp"
#include "tests/core/snapshot_of.hpp"

namespace locker::core {
namespace {

using std::chrono::milliseconds;

/// Single cases, and what the random commands of arbiter_oracle_test.cpp do not reach: leases with
/// very many locks.
class ArbiterTest : public testing::Test, protected Arbiter::Host {
 protected:
  ArbiterTest() { arbiter_->start(*this, 1); }

  void on_record(const Record& record) override {
    const std::size_t before = journal_.size();
    append_record(record, journal_);
    room_ -= std::min(room_, journal_.size() - before);
  }
  void on_event(const Event&) override {}
  void on_decided(WaiterId waiter, Acquired&& acquired) override {
    decided_[waiter] = std::move(acquired);
  }
  Room room_for(std::size_t bytes, bool reserved) const override {
    ++room_asked_;
    if (is_full_ && !reserved) return Room::none;
    return bytes <= room_ ? Room::enough : Room::soon;
  }

  [[nodiscard]] Now now() const {
    return {now_, static_cast<Fence>(now_.time_since_epoch().count())};
  }
  void advance_to(Instant instant) {
    now_ = instant;
    while (arbiter_->advance(now(), 100)) {
    }
  }
  void advance_to(Duration served) { advance_to(Instant{served}); }
  void restart() {
    arbiter_ = std::make_unique<Arbiter>(2, Arbiter::Limits{});
    RecordReader reader{journal_};
    Record record;
    while (reader.next(record)) ASSERT_TRUE(arbiter_->replay(record));
    arbiter_->start(*this, 1'000'000'000);
  }

  static Token token(std::uint8_t number) {
    Token token;
    token.bytes[0] = number;
    return token;
  }
  static std::string path(std::string_view segment) {
    Path path;
    EXPECT_EQ(path.push_back(segment), Path::Push::ok);
    return std::string{path.view().packed()};
  }
  Acquired acquire(const Token& token, const std::string& path, Duration wait = {}) {
    AcquireCommand command;
    command.wanted.push_back({path, {}});
    command.token = token;
    command.wait = wait;
    return arbiter_->acquire(command, now());
  }
  Acquired acquire_with_ttl(const Token& token, const std::string& path, milliseconds ttl,
                            Duration wait = {}) {
    AcquireCommand command;
    command.wanted.push_back({path, {}});
    command.token = token;
    command.ttl = Milliseconds{static_cast<std::uint32_t>(ttl.count())};
    command.wait = wait;
    return arbiter_->acquire(command, now());
  }
  [[nodiscard]] Milliseconds ttl_of(const Token& token) const {
    return arbiter_->table().find_lease_of(token)->ttl;
  }
  LeaseAnswer open(const Token& token, milliseconds ttl) {
    return arbiter_->open_lease(token, {}, {},
                                Milliseconds{static_cast<std::uint32_t>(ttl.count())}, now());
  }

  const std::string a_ = path("a");
  static constexpr std::size_t endless = std::size_t{1} << 40U;
  std::size_t room_ = endless;          // of the journal, in bytes
  mutable std::size_t room_asked_ = 0;  // how often room_for() was called
  bool is_full_ = false;                // and `room_` is the reserve for records that end locks
  std::string journal_;
  std::unique_ptr<Arbiter> arbiter_ = std::make_unique<Arbiter>(1, Arbiter::Limits{});
  std::map<WaiterId, Acquired> decided_;
  Instant now_{milliseconds{1}};
};

TEST_F(ArbiterTest, AfterARestartALeaseWithoutLocksIsKnownToHaveExpired) {
  const Token lost = token(1);
  ASSERT_EQ(open(lost, milliseconds{300}).outcome, LeaseOutcome::opened);
  advance_to(milliseconds{400});
  ASSERT_EQ(arbiter_->renew(lost, {}, now()).outcome, LeaseOutcome::ended);
  restart();
  const auto renewed = arbiter_->renew(lost, {}, now());
  EXPECT_EQ(renewed.outcome, LeaseOutcome::ended);
  EXPECT_EQ(renewed.ended.value().reason, End::expired);
  EXPECT_EQ(acquire(lost, path("a")).outcome, Outcome::lease_ended);
}

TEST_F(ArbiterTest, AfterARestartAnOpenedLeaseIsKnownToHaveLostAllByForce) {
  const Token lost = token(1);
  ASSERT_EQ(open(lost, milliseconds{0}).outcome, LeaseOutcome::opened);
  ASSERT_EQ(acquire(lost, path("a")).outcome, Outcome::granted);
  ForceFilter filter;
  filter.packed_path = path("a");
  ASSERT_EQ(arbiter_->force(filter, "", now()).count, 1U);
  restart();
  EXPECT_EQ(arbiter_->renew(lost, {}, now()).ended.value().reason, End::forced);
  EXPECT_EQ(acquire(lost, path("a")).outcome, Outcome::lease_ended);
}

TEST_F(ArbiterTest, AfterARestartAReleasedLeaseCanBeReleasedAgain) {
  const Token gone = token(1);
  ASSERT_EQ(open(gone, milliseconds{0}).outcome, LeaseOutcome::opened);
  ASSERT_EQ(arbiter_->release_all(gone, now()).outcome, ReleaseOutcome::released);
  restart();
  EXPECT_EQ(arbiter_->release_all(gone, now()).outcome, ReleaseOutcome::released_before);
}

// Lock coupling: a client requests the next lock, then releases the previous one.
TEST_F(ArbiterTest, WhoWaitsGetsALeaseLikeTheOneItGaveBackMeanwhile) {
  ASSERT_EQ(acquire(token(1), path("b")).outcome, Outcome::granted);
  ASSERT_EQ(acquire(token(1), path("c")).outcome, Outcome::granted);
  const Acquired before = acquire(token(2), path("c"), std::chrono::seconds{60});
  AcquireCommand first;
  first.wanted.push_back({path("a"), {}});
  first.token = token(2);
  first.owner = "me";
  first.ttl = Milliseconds{2'000};
  ASSERT_EQ(arbiter_->acquire(first, now()).outcome, Outcome::granted);
  const Acquired next = acquire(token(2), path("b"), std::chrono::seconds{60});
  ASSERT_EQ(next.outcome, Outcome::queued);
  ASSERT_EQ(arbiter_->renew(token(2), Milliseconds{30'000}, now()).outcome, LeaseOutcome::living);
  ASSERT_EQ(arbiter_->release_all(token(2), now()).outcome, ReleaseOutcome::released);
  ASSERT_EQ(arbiter_->release_all(token(1), now()).outcome, ReleaseOutcome::released);
  advance_to(now_);
  for (const Acquired& queued : {before, next}) {
    ASSERT_EQ(decided_.at(queued.waiter).outcome, Outcome::granted);
    EXPECT_EQ(decided_.at(queued.waiter).ttl, Milliseconds{30'000});
    EXPECT_EQ(decided_.at(queued.waiter).owner, "me");
  }
}

TEST_F(ArbiterTest, AGrantToWhoWaitedDoesNotTakeBackWhatARenewalHasPromised) {
  ASSERT_EQ(acquire(token(1), path("x")).outcome, Outcome::granted);
  ASSERT_EQ(acquire_with_ttl(token(2), path("y"), milliseconds{2'000}).outcome, Outcome::granted);
  const Acquired queued =
      acquire_with_ttl(token(2), path("x"), milliseconds{2'000}, std::chrono::seconds{30});
  ASSERT_EQ(queued.outcome, Outcome::queued);
  ASSERT_EQ(arbiter_->renew(token(2), Milliseconds{60'000}, now()).ttl, Milliseconds{60'000});
  ASSERT_EQ(arbiter_->release_all(token(1), now()).outcome, ReleaseOutcome::released);
  advance_to(now_);
  ASSERT_EQ(decided_.at(queued.waiter).outcome, Outcome::granted);
  EXPECT_EQ(decided_.at(queued.waiter).ttl, Milliseconds{60'000});
  // Its reply was lost: this is still the same request.
  const Acquired again = acquire_with_ttl(token(2), path("x"), milliseconds{2'000});
  EXPECT_EQ(again.outcome, Outcome::held_already);
  EXPECT_EQ(again.fence, decided_.at(queued.waiter).fence);
  EXPECT_EQ(again.ttl, Milliseconds{60'000});
  advance_to(milliseconds{50'000});
  EXPECT_EQ(arbiter_->table().lock_count(), 2U);
  restart();
  EXPECT_EQ(ttl_of(token(2)), Milliseconds{60'000});
}

// A heartbeat's TTL does not keep a request from getting a longer one.
TEST_F(ArbiterTest, AGrantToWhoWaitedOnlyLengthensTheTtlOfALeaseThatWasRenewedMeanwhile) {
  ASSERT_EQ(acquire(token(1), path("short")).outcome, Outcome::granted);
  ASSERT_EQ(acquire(token(1), path("long")).outcome, Outcome::granted);
  ASSERT_EQ(acquire_with_ttl(token(2), path("y"), milliseconds{5'000}).outcome, Outcome::granted);
  const Acquired shorter =
      acquire_with_ttl(token(2), path("short"), milliseconds{2'000}, std::chrono::seconds{30});
  const Acquired longer =
      acquire_with_ttl(token(2), path("long"), milliseconds{9'000}, std::chrono::seconds{30});
  ASSERT_EQ(arbiter_->renew(token(2), {}, now()).ttl, Milliseconds{5'000});
  ASSERT_EQ(arbiter_->release(token(1), PathView{path("short")}, now()).outcome,
            ReleaseOutcome::released);
  advance_to(now_);
  EXPECT_EQ(decided_.at(shorter.waiter).ttl, Milliseconds{5'000});
  ASSERT_EQ(arbiter_->release(token(1), PathView{path("long")}, now()).outcome,
            ReleaseOutcome::released);
  advance_to(now_);
  EXPECT_EQ(decided_.at(longer.waiter).ttl, Milliseconds{9'000});
  EXPECT_EQ(ttl_of(token(2)), Milliseconds{9'000});
}

TEST_F(ArbiterTest, AnAcquireRenewsItsLeaseWhenItArrives) {
  ASSERT_EQ(acquire(token(1), path("theirs")).outcome, Outcome::granted);
  ASSERT_EQ(acquire_with_ttl(token(2), path("y"), milliseconds{1'000}).outcome, Outcome::granted);
  const std::size_t journaled = journal_.size();
  advance_to(milliseconds{900});
  EXPECT_EQ(acquire(token(2), path("theirs")).outcome, Outcome::blocked);
  advance_to(milliseconds{1'800});
  AcquireCommand other;
  other.wanted.push_back({path("z"), {}});
  other.token = token(2);
  other.owner = "another";
  EXPECT_EQ(arbiter_->acquire(other, now()).outcome, Outcome::token_in_use);
  advance_to(milliseconds{2'700});
  const Acquired queued = acquire(token(2), path("theirs"), std::chrono::seconds{60});
  EXPECT_EQ(queued.outcome, Outcome::queued);
  EXPECT_EQ(journal_.size(), journaled);
  advance_to(milliseconds{3'600});
  EXPECT_EQ(arbiter_->table().lock_count(), 2U);
  // Waiting renews nothing.
  advance_to(milliseconds{3'800});
  EXPECT_EQ(arbiter_->table().lock_count(), 1U);
  EXPECT_EQ(decided_.at(queued.waiter).outcome, Outcome::lease_ended);
  EXPECT_EQ(acquire(token(2), path("z")).outcome, Outcome::lease_ended);
}

// Whether the later request is refused or not: its client relies on the renewal.
TEST_F(ArbiterTest, ARequestDoesNotShortenWhatALaterOneHasRenewed) {
  ASSERT_EQ(acquire(token(1), path("a")).outcome, Outcome::granted);
  ASSERT_EQ(acquire(token(1), path("b")).outcome, Outcome::granted);
  ASSERT_EQ(acquire_with_ttl(token(2), path("y"), milliseconds{60'000}).outcome, Outcome::granted);
  const Acquired queued =
      acquire_with_ttl(token(2), path("a"), milliseconds{2'000}, std::chrono::seconds{30});
  ASSERT_EQ(acquire(token(2), path("b")).outcome, Outcome::blocked);
  ASSERT_EQ(arbiter_->release_all(token(1), now()).outcome, ReleaseOutcome::released);
  advance_to(now_);
  EXPECT_EQ(decided_.at(queued.waiter).ttl, Milliseconds{60'000});
}

TEST_F(ArbiterTest, AGrantDoesNotShortenWhatTheGrantBeforePromised) {
  ASSERT_EQ(acquire(token(1), path("a")).outcome, Outcome::granted);
  const Acquired first =
      acquire_with_ttl(token(2), path("a"), milliseconds{30'000}, std::chrono::seconds{60});
  Path below;
  ASSERT_EQ(below.push_back("a"), Path::Push::ok);
  ASSERT_EQ(below.push_back("x"), Path::Push::ok);
  const Acquired second = acquire_with_ttl(token(2), std::string{below.view().packed()},
                                           milliseconds{10'000}, std::chrono::seconds{60});
  ASSERT_EQ(arbiter_->release_all(token(1), now()).outcome, ReleaseOutcome::released);
  advance_to(now_);
  EXPECT_EQ(decided_.at(first.waiter).ttl, Milliseconds{30'000});
  EXPECT_EQ(decided_.at(second.waiter).ttl, Milliseconds{30'000});
  EXPECT_EQ(ttl_of(token(2)), Milliseconds{30'000});
}

TEST_F(ArbiterTest, TheTtlOfARequestCountsAsLongAsNothingWasPromisedAfterIt) {
  ASSERT_EQ(acquire(token(1), path("x")).outcome, Outcome::granted);
  ASSERT_EQ(acquire_with_ttl(token(2), path("y"), milliseconds{60'000}).outcome, Outcome::granted);
  EXPECT_EQ(acquire_with_ttl(token(2), path("z"), milliseconds{50'000}).ttl, Milliseconds{50'000});
  const Acquired queued =
      acquire_with_ttl(token(2), path("x"), milliseconds{2'000}, std::chrono::seconds{30});
  ASSERT_EQ(arbiter_->release_all(token(1), now()).outcome, ReleaseOutcome::released);
  advance_to(now_);
  EXPECT_EQ(decided_.at(queued.waiter).ttl, Milliseconds{2'000});
}

// The promises of the ended lease went with it.
TEST_F(ArbiterTest, TheTtlOfARequestCountsForALeaseThatItsGrantMakes) {
  ASSERT_EQ(acquire(token(1), path("x")).outcome, Outcome::granted);
  ASSERT_EQ(acquire_with_ttl(token(2), path("y"), milliseconds{2'000}).outcome, Outcome::granted);
  const Acquired queued =
      acquire_with_ttl(token(2), path("x"), milliseconds{2'000}, std::chrono::seconds{30});
  ASSERT_EQ(arbiter_->renew(token(2), Milliseconds{60'000}, now()).ttl, Milliseconds{60'000});
  ASSERT_EQ(arbiter_->release_all(token(2), now()).outcome, ReleaseOutcome::released);
  ASSERT_EQ(arbiter_->release_all(token(1), now()).outcome, ReleaseOutcome::released);
  advance_to(now_);
  EXPECT_EQ(decided_.at(queued.waiter).ttl, Milliseconds{2'000});
}

TEST_F(ArbiterTest, AnotherModeLeavesTheRestOfALockAsItIs) {
  AcquireCommand command;
  command.wanted.push_back({path("a"), {.mode = Mode::shared}});
  command.token = token(1);
  command.meta = "why";
  command.lock_delay = Milliseconds{5'000};
  ASSERT_EQ(arbiter_->acquire(command, now()).outcome, Outcome::granted);
  command.wanted[0].shape.mode = Mode::exclusive;
  command.meta = "why not";
  EXPECT_EQ(arbiter_->acquire(command, now()).outcome, Outcome::token_in_use);
  command.meta = "";
  command.lock_delay = Milliseconds{1};
  EXPECT_EQ(arbiter_->acquire(command, now()).outcome, Outcome::token_in_use);
  command.lock_delay = {};
  ASSERT_EQ(arbiter_->acquire(command, now()).outcome, Outcome::granted);
  EXPECT_EQ(arbiter_->acquire(command, now()).outcome, Outcome::held_already);
  EXPECT_EQ(arbiter_->covering(PathView{path("a")}, 1, 1).holders.front().meta, "why");
  ForceFilter filter;
  filter.packed_path = path("a");
  ASSERT_EQ(arbiter_->force(filter, "", now()).count, 1U);
  EXPECT_EQ(acquire(token(2), path("a")).outcome, Outcome::blocked);  // it cools
}

/// Requests for any of many paths, whose clients all leave at the same time.
class ArbiterLeavingTest : public ArbiterTest {
 protected:
  AcquireCommand any_of_many(const Token& of) const {
    AcquireCommand command;
    for (int number = 0; number < 64; ++number) {
      command.wanted.push_back({path("m" + std::to_string(number)), {}});
    }
    command.any = 1;
    command.token = of;
    command.wait = std::chrono::hours{1};
    return command;
  }
  void take_all() {
    AcquireCommand all = any_of_many(token(1));
    all.any = 0;
    ASSERT_EQ(arbiter_->acquire(all, now()).outcome, Outcome::granted);
  }
  Acquired wait_for_any(const Token& of) { return arbiter_->acquire(any_of_many(of), now()); }
  std::size_t count_waiting() const {
    std::size_t count = 0;
    arbiter_->for_each_waiter(0, [&](const Waiter& waiter) {
      count += waiter.is_kept ? 0U : 1U;
      return true;
    });
    return count;
  }
};

TEST_F(ArbiterLeavingTest, OneLeavesAfterTheOtherAndOthersHaveTheirTurnBetween) {
  take_all();
  std::vector<WaiterId> waiters;
  for (std::uint8_t number = 2; number < 102; ++number)
    waiters.push_back(wait_for_any(token(number)).waiter);
  for (const WaiterId waiter : waiters) {
    EXPECT_TRUE(arbiter_->abandon(waiter, now()));
    EXPECT_FALSE(arbiter_->abandon(waiter, now()));
  }
  EXPECT_EQ(count_waiting(), 100U);
  advance_to(now_ + milliseconds{13});
  EXPECT_GT(count_waiting(), 40U);
  EXPECT_LT(count_waiting(), 60U);
  advance_to(now_ + milliseconds{14});
  EXPECT_EQ(count_waiting(), 0U);
  arbiter_->check_invariants();
}

TEST_F(ArbiterLeavingTest, NobodyStandsInLineForLongerThanItsWait) {
  take_all();
  for (std::uint8_t number = 2; number < 102; ++number) {
    ASSERT_TRUE(arbiter_->abandon(wait_for_any(token(number)).waiter, now()));
  }
  AcquireCommand brief = any_of_many(token(102));
  brief.wait = milliseconds{5};
  ASSERT_TRUE(arbiter_->abandon(arbiter_->acquire(brief, now()).waiter, now()));
  advance_to(now_ + milliseconds{5});
  EXPECT_GT(count_waiting(), 60U);
  arbiter_->for_each_waiter(0, [&](const Waiter& waiter) {
    EXPECT_TRUE(waiter.is_kept || waiter.token != token(102));
    return true;
  });
}

TEST_F(ArbiterLeavingTest, WaitsThatEndTogetherAreManyThings) {
  take_all();
  for (std::uint8_t number = 2; number < 102; ++number) {
    ASSERT_EQ(wait_for_any(token(number)).outcome, Outcome::queued);
  }
  advance_to(now_ + std::chrono::hours{1} - milliseconds{10});
  EXPECT_EQ(decided_.size(), 0U);
  now_ += milliseconds{10};
  EXPECT_TRUE(arbiter_->advance(now(), 256));
  EXPECT_EQ(decided_.size(), 29U);  // each counts as nine things
  advance_to(now_);
  EXPECT_EQ(decided_.size(), 100U);
}

TEST_F(ArbiterLeavingTest, AllThatALeaseWaitsForWhenItExpiresAreManyThings) {
  take_all();
  for (std::uint8_t number = 2; number <= 3; ++number) {
    ASSERT_EQ(open(token(number), milliseconds{1'000}).outcome, LeaseOutcome::opened);
    for (int i = 0; i < 60; ++i) {
      const std::string wanted = path("m" + std::to_string(i));
      ASSERT_EQ(acquire(token(number), wanted, std::chrono::hours{1}).outcome, Outcome::queued);
    }
  }
  now_ += milliseconds{1'000};
  EXPECT_TRUE(arbiter_->advance(now(), 50));
  EXPECT_EQ(decided_.size(), 60U);
  advance_to(now_);
  EXPECT_EQ(decided_.size(), 120U);
}

TEST_F(ArbiterLeavingTest, AllThatALeaseHoldsWhenItExpiresAreManyThings) {
  AcquireCommand command;
  command.ttl = Milliseconds{1'000};
  for (std::uint8_t number = 1; number <= 2; ++number) {
    command.wanted.clear();
    for (int i = 0; i < 60; ++i) {
      command.wanted.push_back({path("h" + std::to_string(60 * number + i)), {}});
    }
    command.token = token(number);
    ASSERT_EQ(arbiter_->acquire(command, now()).outcome, Outcome::granted);
  }
  now_ += milliseconds{1'000};
  EXPECT_TRUE(arbiter_->advance(now(), 10));
  EXPECT_EQ(arbiter_->table().lock_count(), 60U);
  advance_to(now_);
  EXPECT_EQ(arbiter_->table().lock_count(), 0U);
}

TEST_F(ArbiterLeavingTest, WhoseClientHasLeftIsNotGranted) {
  take_all();
  const Acquired left = wait_for_any(token(2));
  const Acquired next = wait_for_any(token(3));
  ASSERT_TRUE(arbiter_->abandon(left.waiter, now()));
  ASSERT_EQ(arbiter_->release(token(1), PathView{path("m7")}, now()).outcome,
            ReleaseOutcome::released);
  while (arbiter_->advance(now(), 1)) {
  }
  EXPECT_FALSE(decided_.contains(left.waiter));
  ASSERT_EQ(decided_.at(next.waiter).outcome, Outcome::granted);
  EXPECT_EQ(decided_.at(next.waiter).locks.front().packed_path, path("m7"));
}

TEST_F(ArbiterLeavingTest, WhoComesBackMeanwhileHasItsPlaceAndWhoWantsSomethingElseGetsIt) {
  take_all();
  const Acquired first = wait_for_any(token(2));
  const Acquired second = wait_for_any(token(3));
  ASSERT_TRUE(arbiter_->abandon(first.waiter, now()));
  ASSERT_TRUE(arbiter_->abandon(second.waiter, now()));
  const Acquired back = wait_for_any(token(2));
  ASSERT_EQ(back.outcome, Outcome::queued);
  AcquireCommand other = any_of_many(token(3));
  other.wanted.resize(32);
  const Acquired instead = arbiter_->acquire(other, now());
  ASSERT_EQ(instead.outcome, Outcome::queued);
  advance_to(now_ + milliseconds{100});
  EXPECT_EQ(count_waiting(), 2U);
  ASSERT_EQ(arbiter_->release_all(token(1), now()).outcome, ReleaseOutcome::released);
  advance_to(now_);
  EXPECT_EQ(decided_.at(back.waiter).outcome, Outcome::granted);
  EXPECT_EQ(decided_.at(instead.waiter).outcome, Outcome::granted);
}

// At its old place it would be before a client that holds what it wants.
TEST_F(ArbiterTest, WhoComesBackToAPlaceThatWouldBeADeadlockGoesToTheEnd) {
  const Shape neither{Mode::exclusive, false, false};
  const auto ask = [&](const Token& of, const std::string& wanted, const Shape& shape) {
    AcquireCommand command;
    command.wanted.push_back({wanted, shape});
    command.token = of;
    command.wait = std::chrono::seconds{60};
    return arbiter_->acquire(command, now());
  };
  Path below;
  ASSERT_EQ(below.push_back("a"), Path::Push::ok);
  ASSERT_EQ(below.push_back("x"), Path::Push::ok);
  ASSERT_EQ(ask(token(1), path("a"), {Mode::shared, false, false}).outcome, Outcome::granted);
  ASSERT_EQ(ask(token(2), std::string{below.view().packed()}, neither).outcome, Outcome::granted);
  const Acquired left = ask(token(3), path("a"), {});
  ASSERT_EQ(left.outcome, Outcome::queued);
  ASSERT_TRUE(arbiter_->abandon(left.waiter, now()));
  const Acquired second = ask(token(2), path("a"), neither);
  ASSERT_EQ(second.outcome, Outcome::queued);
  const Acquired back = ask(token(3), path("a"), {});
  ASSERT_EQ(back.outcome, Outcome::queued);
  ASSERT_EQ(arbiter_->release_all(token(1), now()).outcome, ReleaseOutcome::released);
  advance_to(now_);
  EXPECT_EQ(decided_.at(second.waiter).outcome, Outcome::granted);
  EXPECT_FALSE(decided_.contains(back.waiter));
  ASSERT_EQ(arbiter_->release_all(token(2), now()).outcome, ReleaseOutcome::released);
  advance_to(now_);
  EXPECT_EQ(decided_.at(back.waiter).outcome, Outcome::granted);
}

TEST_F(ArbiterTest, AllThatATokenWaitsForIsOfOneOwner) {
  ASSERT_EQ(acquire(token(1), path("a")).outcome, Outcome::granted);
  AcquireCommand command;
  command.wanted.push_back({path("a"), {}});
  command.token = token(2);
  command.owner = "me";
  command.wait = std::chrono::seconds{60};
  const Acquired waiting = arbiter_->acquire(command, now());
  ASSERT_EQ(waiting.outcome, Outcome::queued);
  command.wanted[0].packed_path = path("b");
  command.owner = "you";
  EXPECT_EQ(arbiter_->acquire(command, now()).outcome, Outcome::token_in_use);
  EXPECT_EQ(arbiter_->open_lease(token(2), {}, "you", {}, now()).outcome, LeaseOutcome::in_use);
  command.owner.reset();
  EXPECT_EQ(arbiter_->acquire(command, now()).owner, "me");
}

TEST_F(ArbiterTest, WhatTheFirstInLineStandsBehindIsShown) {
  Path inner;
  ASSERT_EQ(inner.push_back("a"), Path::Push::ok);
  ASSERT_EQ(inner.push_back("x"), Path::Push::ok);
  const std::string other = [&] {
    Path beside;
    EXPECT_EQ(beside.push_back("a"), Path::Push::ok);
    EXPECT_EQ(beside.push_back("y"), Path::Push::ok);
    return std::string{beside.view().packed()};
  }();
  ASSERT_EQ(acquire(token(1), std::string{inner.view().packed()}).outcome, Outcome::granted);
  ASSERT_EQ(acquire(token(2), path("a"), std::chrono::seconds{60}).outcome, Outcome::queued);
  EXPECT_EQ(arbiter_->awaited_by(PathView{other})->packed_path, path("a"));
  ASSERT_EQ(acquire(token(3), other, std::chrono::seconds{60}).outcome, Outcome::queued);
  EXPECT_EQ(arbiter_->awaited_by(PathView{other})->packed_path, path("a"));
  EXPECT_FALSE(arbiter_->awaited_by(PathView{path("a")}));
}

TEST_F(ArbiterTest, WhoWaitsLeavesTheLineByGivingBackWhatItWaitsFor) {
  const PathView a{a_};
  ASSERT_EQ(acquire(token(1), a_).outcome, Outcome::granted);
  const Acquired first = acquire(token(2), a_, std::chrono::hours{1});
  const Acquired second = acquire(token(3), a_, std::chrono::hours{1});
  const auto left = arbiter_->release(token(2), a, now());
  EXPECT_EQ(left.outcome, ReleaseOutcome::left);
  EXPECT_EQ(left.fence, 0U);
  ASSERT_TRUE(decided_.contains(first.waiter));
  EXPECT_EQ(decided_[first.waiter].outcome, Outcome::lease_ended);
  EXPECT_EQ(decided_[first.waiter].ended.value().reason, End::released);
  // Repeated calls; other clients are answered as before.
  EXPECT_EQ(arbiter_->release(token(2), a, now()).outcome, ReleaseOutcome::released_before);
  EXPECT_EQ(arbiter_->release_all(token(2), now()).outcome, ReleaseOutcome::released_before);
  EXPECT_EQ(arbiter_->release(token(4), a, now()).outcome, ReleaseOutcome::wrong_token);
  arbiter_->check_invariants();

  // A kept place.
  ASSERT_TRUE(arbiter_->abandon(second.waiter, now()));
  EXPECT_EQ(arbiter_->release_all(token(3), now()).outcome, ReleaseOutcome::left);
  EXPECT_EQ(arbiter_->waiter_count(), 0U);
  EXPECT_EQ(acquire(token(3), a_, std::chrono::hours{1}).outcome, Outcome::queued);
  EXPECT_EQ(arbiter_->release_all(token(3), now()).outcome, ReleaseOutcome::left);
  EXPECT_EQ(acquire(token(3), path("b")).outcome, Outcome::granted);
  restart();
  EXPECT_EQ(arbiter_->release(token(2), a, now()).outcome, ReleaseOutcome::wrong_token);
  arbiter_->check_invariants();
}

TEST_F(ArbiterTest, WhatATokenGaveBackAndWaitsForAgainIsGivenBackWithTheSameAnswer) {
  const PathView a{a_};
  ASSERT_EQ(acquire(token(1), a_).outcome, Outcome::granted);
  const auto released = arbiter_->release(token(1), a, now());
  ASSERT_EQ(acquire(token(2), a_).outcome, Outcome::granted);
  ASSERT_EQ(acquire(token(1), a_, std::chrono::hours{1}).outcome, Outcome::queued);
  for (int again = 0; again < 2; ++again) {
    EXPECT_EQ(arbiter_->release(token(1), a, now()).fence, released.fence);
    EXPECT_EQ(arbiter_->waiter_count(), 0U);
  }
}

TEST_F(ArbiterTest, ForceEndsWhoWaitsIfThatIsWanted) {
  ASSERT_EQ(acquire(token(1), a_).outcome, Outcome::granted);
  AcquireCommand everything;
  everything.wanted.push_back({"", {}});
  everything.token = token(2);
  everything.owner = "greedy";
  everything.wait = std::chrono::hours{24};
  const Acquired greedy = arbiter_->acquire(everything, now());
  ASSERT_EQ(greedy.outcome, Outcome::queued);
  ASSERT_EQ(acquire(token(3), path("b")).outcome, Outcome::blocked);

  ForceFilter filter;
  filter.owner = "greedy";
  EXPECT_EQ(arbiter_->force(filter, "why", now()).count, 0U);
  filter.ends_waiting = true;
  filter.packed_path = a_;
  EXPECT_EQ(arbiter_->force(filter, "why", now()).count, 0U);
  filter.packed_path = "";
  filter.fence = 1;
  EXPECT_EQ(arbiter_->force(filter, "why", now()).count, 0U);
  filter.fence.reset();
  EXPECT_EQ(arbiter_->force(filter, "why", now()).count, 1U);
  ASSERT_TRUE(decided_.contains(greedy.waiter));
  EXPECT_EQ(decided_[greedy.waiter].outcome, Outcome::lease_ended);
  EXPECT_EQ(decided_[greedy.waiter].ended.value().reason, End::forced);
  EXPECT_EQ(decided_[greedy.waiter].ended.value().detail, "why");
  EXPECT_EQ(arbiter_->renew(token(2), {}, now()).ended.value().detail, "why");
  EXPECT_EQ(arbiter_->acquire(everything, now()).outcome, Outcome::lease_ended);
  EXPECT_EQ(acquire(token(3), path("b")).outcome, Outcome::granted);
  EXPECT_EQ(arbiter_->table().lock_count(), 2U);
  arbiter_->check_invariants();
}

TEST_F(ArbiterTest, ForceEndsKeptPlacesToo) {
  ASSERT_EQ(acquire(token(1), a_).outcome, Outcome::granted);
  const Acquired queued = acquire(token(2), a_, std::chrono::hours{1});
  ASSERT_TRUE(arbiter_->abandon(queued.waiter, now()));
  ForceFilter filter;
  filter.packed_prefix = a_;
  filter.ends_waiting = true;
  EXPECT_EQ(arbiter_->force(filter, "why", now()).count, 2U);
  EXPECT_EQ(arbiter_->waiter_count(), 0U);
  const Acquired back = acquire(token(2), a_, std::chrono::hours{1});
  EXPECT_EQ(back.outcome, Outcome::lease_ended);
  EXPECT_EQ(back.ended.value().detail, "why");
}

// Otherwise the next waiter would be granted the lock that ends.
TEST_F(ArbiterTest, ForceEndsThoseWhoWaitBeforeTheLock) {
  ASSERT_EQ(acquire(token(1), a_).outcome, Outcome::granted);
  ASSERT_EQ(acquire(token(2), a_, std::chrono::hours{1}).outcome, Outcome::queued);
  ASSERT_EQ(acquire(token(3), a_, std::chrono::hours{1}).outcome, Outcome::queued);
  ForceFilter filter;
  filter.packed_path = a_;
  filter.ends_waiting = true;
  Forcing forcing = arbiter_->begin_force(filter, "why");
  while (!arbiter_->advance_force(forcing, 1, now())) advance_to(now_);
  EXPECT_EQ(forcing.forced.count, 3U);
  advance_to(now_);
  EXPECT_EQ(arbiter_->table().lock_count(), 0U);
}

TEST_F(ArbiterTest, AForceThatLeavesWaitersAloneEndsNothingThatIsGrantedAfterIt) {
  ASSERT_EQ(acquire(token(1), a_).outcome, Outcome::granted);
  ForceFilter filter;
  filter.packed_prefix = "";
  Forcing forcing = arbiter_->begin_force(filter, "why");
  ASSERT_EQ(acquire(token(2), path("b")).outcome, Outcome::granted);
  while (!arbiter_->advance_force(forcing, 1, now())) advance_to(now_);
  EXPECT_EQ(forcing.forced.count, 1U);
  EXPECT_EQ(arbiter_->table().lock_count(), 1U);
}

TEST_F(ArbiterTest, WhoHoldsAndWaitsLosesOnlyTheWaitByForce) {
  ASSERT_EQ(acquire(token(1), a_).outcome, Outcome::granted);
  ASSERT_EQ(acquire(token(2), path("b")).outcome, Outcome::granted);
  const Acquired queued = acquire(token(2), a_, std::chrono::hours{1});
  ForceFilter filter;
  filter.packed_path = a_;
  filter.ends_waiting = true;
  EXPECT_EQ(arbiter_->force(filter, "why", now()).count, 2U);
  EXPECT_EQ(decided_.at(queued.waiter).ended.value().reason, End::forced);
  EXPECT_EQ(arbiter_->renew(token(2), {}, now()).outcome, LeaseOutcome::living);
  EXPECT_EQ(acquire(token(2), a_).outcome, Outcome::granted);
}

TEST_F(ArbiterTest, ForceByOwnerEndsLeasesThatHoldNothing) {
  const auto open_as = [&](std::uint8_t number, const std::string& owner) {
    return arbiter_->open_lease(token(number), {}, owner, {}, now()).outcome;
  };
  ASSERT_EQ(open_as(1, "ghost"), LeaseOutcome::opened);
  ASSERT_EQ(open_as(2, "other"), LeaseOutcome::opened);
  ASSERT_EQ(open_as(3, "ghost"), LeaseOutcome::opened);
  ASSERT_EQ(acquire(token(3), a_).outcome, Outcome::granted);
  EXPECT_EQ(arbiter_->opened_lease_count(), 3U);
  restart();
  EXPECT_EQ(arbiter_->opened_lease_count(), 3U);
  ForceFilter filter;
  filter.owner = "ghost";
  filter.packed_prefix = a_;
  filter.fence = 1;
  EXPECT_EQ(arbiter_->force(filter, "why", now()).count, 0U);
  filter.fence.reset();
  filter.packed_prefix = path("b");
  EXPECT_EQ(arbiter_->force(filter, "why", now()).count, 0U);
  filter.packed_prefix.reset();
  EXPECT_EQ(arbiter_->force(filter, "why", now()).count, 2U);  // a lock and a lease
  EXPECT_EQ(arbiter_->table().lease_count(), 1U);
  EXPECT_EQ(arbiter_->opened_lease_count(), 1U);
  EXPECT_EQ(arbiter_->renew(token(1), {}, now()).ended.value().reason, End::forced);
  EXPECT_EQ(arbiter_->renew(token(1), {}, now()).ended.value().detail, "why");
  EXPECT_EQ(arbiter_->renew(token(2), {}, now()).outcome, LeaseOutcome::living);
  arbiter_->check_invariants();
  restart();
  EXPECT_EQ(arbiter_->opened_lease_count(), 1U);
  EXPECT_EQ(arbiter_->renew(token(1), {}, now()).ended.value().reason, End::forced);
  arbiter_->check_invariants();
}

TEST_F(ArbiterTest, AForceThatStandsInLineLeavesAloneWhatIsGrantedUntilItsTurn) {
  ASSERT_EQ(acquire(token(1), a_).outcome, Outcome::granted);
  ASSERT_EQ(acquire(token(2), path("b")).outcome, Outcome::granted);
  ForceFilter filter;
  filter.packed_prefix = "";
  Forcing forcing = arbiter_->begin_force(filter, "why");
  ASSERT_EQ(arbiter_->release(token(1), PathView{a_}, now()).outcome, ReleaseOutcome::released);
  ASSERT_EQ(acquire(token(3), a_).outcome, Outcome::granted);
  ASSERT_TRUE(arbiter_->advance_force(forcing, 1'000, now()));
  EXPECT_EQ(forcing.forced.count, 1U);
  EXPECT_TRUE(arbiter_->table().held_by(token(3), PathView{a_}));
}

TEST_F(ArbiterTest, AForceOfOnePathGoesOnWhereManyShareIt) {
  constexpr std::uint8_t holders = 40;
  for (std::uint8_t number = 1; number <= holders; ++number) {
    AcquireCommand command;
    command.wanted.push_back({a_, {Mode::shared, true, true}});
    command.token = token(number);
    command.owner = number % 2 == 0 ? "theirs" : "mine";
    ASSERT_EQ(arbiter_->acquire(command, now()).outcome, Outcome::granted);
  }
  ASSERT_EQ(acquire(token(holders + 1), path("b")).outcome, Outcome::granted);
  ForceFilter filter;
  filter.packed_path = a_;
  filter.owner = "theirs";
  Forcing forcing = arbiter_->begin_force(filter, "why");
  int slices = 1;
  const std::size_t each = 3 * Arbiter::steps_of_an_end;
  while (!arbiter_->advance_force(forcing, each, now())) {
    ++slices;
    AcquireCommand late;
    late.wanted.push_back({a_, {Mode::shared, true, true}});
    late.token = token(static_cast<std::uint8_t>(100 + slices));
    late.owner = "theirs";
    ASSERT_EQ(arbiter_->acquire(late, now()).outcome, Outcome::granted);
  }
  EXPECT_GE(slices, holders / 2 / 3);
  EXPECT_EQ(forcing.forced.count, std::size_t{holders / 2});
  const auto late_ones = static_cast<std::size_t>(slices - 1);
  EXPECT_EQ(arbiter_->table().lock_count(), std::size_t{holders / 2 + 1} + late_ones);
}

TEST_F(ArbiterTest, ALockIsNotLookedForAmongAllOfItsLeaseAgainWhenItEnds) {
  AcquireCommand command;
  for (int number = 0; number < 200; ++number) {
    command.wanted.push_back({path("m" + std::to_string(1'000 + number)), {}});
  }
  command.token = token(1);
  ASSERT_EQ(arbiter_->acquire(command, now()).outcome, Outcome::granted);
  EXPECT_EQ(arbiter_->release(token(1), PathView{path("m1100")}, now()).count, 1U);
  ForceFilter filter;
  filter.packed_path = path("m1080");
  EXPECT_EQ(arbiter_->force(filter, "", now()).count, 1U);
  command.wanted = {{path("m1120"), {Mode::shared, true, true}}};
  EXPECT_EQ(arbiter_->acquire(command, now()).outcome, Outcome::granted);
  EXPECT_EQ(arbiter_->table().search_steps(), 0U);
  restart();
  EXPECT_LT(arbiter_->table().search_steps(), 300U);  // one search for each of the three
}

TEST_F(ArbiterTest, LocksOfLargeLeasesThatEndInAnyOrderAreReplayedWithoutSearchingAllEachTime) {
  constexpr int count = 3'000;
  const auto lock_of = [](int lease, int number) {
    return path(std::to_string(lease) + "-" + std::to_string(number));
  };
  const auto token_of = [](int lease) { return token(static_cast<std::uint8_t>(lease)); };
  for (int number = 0; number < count; ++number) {
    for (const int lease : {1, 2}) {
      AcquireCommand command;
      command.wanted = {{lock_of(lease, number), {}}};
      command.token = token_of(lease);
      if (number % 3 == 0) command.lock_delay = Milliseconds{5'000};
      ASSERT_EQ(arbiter_->acquire(command, now()).outcome, Outcome::granted);
    }
  }
  std::uint64_t records = 0;
  std::array<std::string, 3> changed;  // per lease: the lock that changed its mode last
  for (int step = 1; step < count; ++step) {
    const int number = step * 1'009 % count;  // each lock but the first, in no order
    const std::uint8_t lease = step / 400 % 2 == 0 ? 1 : 2;
    ++records;
    if (step % 3 == 0) {
      ForceFilter filter;
      filter.packed_path = lock_of(lease, number);
      ASSERT_EQ(arbiter_->force(filter, "", now()).count, 1U);  // cools if it has a lock-delay
    } else if (step % 3 == 1) {
      const std::string released = lock_of(lease, number);
      ASSERT_EQ(arbiter_->release(token_of(lease), PathView{released}, now()).count, 1U);
    } else {
      AcquireCommand command;
      command.wanted = {{lock_of(lease, number), {Mode::shared, true, true}}};
      command.token = token_of(lease);
      ASSERT_EQ(arbiter_->acquire(command, now()).outcome, Outcome::granted);
      const std::string before = std::exchange(changed.at(lease), lock_of(lease, number));
      if (step % 2 == 0 || before.empty()) continue;
      ++records;
      ASSERT_EQ(arbiter_->release(token_of(lease), PathView{before}, now()).count, 1U);
    }
  }
  const auto held_now = [this] {
    std::vector<std::tuple<LockId, Mode, std::string, bool>> held;
    arbiter_->table().for_each_lock([&](const HeldLock& each) {
      held.emplace_back(each.id, each.shape.mode,
                        std::string{arbiter_->table().path_of(each).view().packed()},
                        each.is_cooling);
    });
    return held;
  };
  const auto before = held_now();
  restart();
  EXPECT_EQ(held_now(), before);
  EXPECT_LT(arbiter_->table().search_steps(), 10 * records);
  arbiter_->table().check_invariants();
}

TEST_F(ArbiterTest, LocksOfManyLargeLeasesThatEndInTurnsAreReplayedWithoutSearchingAllEachTime) {
  constexpr int leases = 10;
  constexpr int locks_of_each = 1'000;
  const auto lock_of = [](int number) { return path("m" + std::to_string(number)); };
  const auto token_of = [](int number) {
    return token(static_cast<std::uint8_t>(number % leases));
  };
  for (int number = 0; number < leases * locks_of_each; ++number) {
    AcquireCommand command;
    command.wanted = {{lock_of(number), {}}};
    command.token = token_of(number);
    ASSERT_EQ(arbiter_->acquire(command, now()).outcome, Outcome::granted);
  }
  for (int step = 0; step < leases * locks_of_each / 2; ++step) {
    const int number = step * 1'009 % (leases * locks_of_each);  // in no order, from all leases
    const std::string released = lock_of(number);
    ASSERT_EQ(arbiter_->release(token_of(number), PathView{released}, now()).count, 1U);
  }
  restart();
  EXPECT_EQ(arbiter_->table().lock_count(), std::size_t{leases * locks_of_each / 2});
  EXPECT_LT(arbiter_->table().search_steps(), std::size_t{2 * leases * locks_of_each});
}

TEST_F(ArbiterTest, LeasesWithManyLocksThatHaveNoRoomForTheirEndAreCountedAsWhatTheyTake) {
  AcquireCommand command;
  command.ttl = Milliseconds{1'000};
  for (std::uint8_t lease = 1; lease <= 8; ++lease) {
    command.token = token(lease);
    command.wanted.clear();
    for (int number = 0; number < 200; ++number) {
      command.wanted.push_back({path(std::to_string(lease) + "-" + std::to_string(number)), {}});
    }
    ASSERT_EQ(arbiter_->acquire(command, now()).outcome, Outcome::granted);
  }
  room_ = 0;
  now_ = Instant{milliseconds{2'000}};
  EXPECT_TRUE(arbiter_->advance(now(), 100));  // two of them use up this limit
  EXPECT_TRUE(arbiter_->advance(now(), 100));
}

// The end of a cooling lock is recorded without a token, that is with one of zeros.
TEST_F(ArbiterTest, WhatHasCooledIsNotLookedForAmongTheLocksOfATokenOfZeros) {
  AcquireCommand command;
  for (int number = 0; number < 200; ++number) {
    command.wanted.push_back({path("m" + std::to_string(1'000 + number)), {}});
  }
  command.token = Token{};
  ASSERT_EQ(arbiter_->acquire(command, now()).outcome, Outcome::granted);
  command.wanted = {{a_, {}}};
  command.token = token(1);
  command.lock_delay = Milliseconds{5'000};
  ASSERT_EQ(arbiter_->acquire(command, now()).outcome, Outcome::granted);
  ForceFilter filter;
  filter.packed_path = a_;
  ASSERT_EQ(arbiter_->force(filter, "", now()).count, 1U);
  advance_to(milliseconds{6'000});
  EXPECT_EQ(arbiter_->table().lock_count(), 200U);
  EXPECT_EQ(arbiter_->table().search_steps(), 0U);
}

TEST_F(ArbiterTest, ALeaseWhoseTokenIsAllZerosEndsByItsTtlAfterARestart) {
  ASSERT_EQ(open(Token{}, milliseconds{30'000}).outcome, LeaseOutcome::opened);
  AcquireCommand command;
  command.wanted.push_back({a_, {}});
  command.token = token(1);
  command.ttl = command.lock_delay = Milliseconds{100};
  ASSERT_EQ(arbiter_->acquire(command, now()).outcome, Outcome::granted);
  advance_to(milliseconds{150});
  advance_to(milliseconds{300});
  ASSERT_EQ(arbiter_->table().lock_count(), 0U);
  restart();
  arbiter_->check_invariants();
  EXPECT_EQ(arbiter_->opened_lease_count(), 1U);
  advance_to(now_ + milliseconds{30'100});
  EXPECT_EQ(arbiter_->table().lease_count(), 0U);
}

TEST_F(ArbiterTest, AForceOfOnePathLooksAtNoMoreInASliceThanOthersCanWaitFor) {
  constexpr int locks = 200;
  for (std::uint8_t i = 0; i < locks; ++i) {
    AcquireCommand command;
    command.wanted.push_back({path("a"), {Mode::shared}});
    command.token = token(i + 1U);
    command.owner = i % 2 == 0 ? "theirs" : "mine";
    ASSERT_EQ(arbiter_->acquire(command, now()).outcome, Outcome::granted);
  }
  ForceFilter filter;
  filter.packed_path = path("a");
  filter.owner = "theirs";
  Forcing forcing = arbiter_->begin_force(filter, "why");
  int slices = 1;
  for (; !arbiter_->advance_force(forcing, 1, now()); ++slices) arbiter_->check_invariants();
  EXPECT_GE(slices, locks);  // locks that are left alone cost a step, too
  EXPECT_EQ(forcing.forced.count, std::size_t{locks / 2});
  EXPECT_EQ(arbiter_->table().lock_count(), std::size_t{locks / 2});
}

TEST_F(ArbiterTest, AForceInSlicesKeepsItsPlaceBesideOthersThatAreOverAtOnce) {
  constexpr int locks = 200;
  for (int i = 0; i < locks; ++i) {
    AcquireCommand command;
    command.wanted.push_back({path(std::to_string(i)), {}});
    command.token = token(1);
    ASSERT_EQ(arbiter_->acquire(command, now()).outcome, Outcome::granted);
  }
  ForceFilter filter;
  filter.owner = "nobody";
  Forcing forcing = arbiter_->begin_force(filter, "why");
  ForceFilter other;
  other.packed_path = path("0");
  other.fence = 1;  // matches none of the locks
  int slices = 1;
  for (; !arbiter_->advance_force(forcing, locks / 10, now()); ++slices) {
    ASSERT_LT(slices, locks);
    ASSERT_EQ(arbiter_->force(other, "", now()).count, 0U);
  }
  EXPECT_LE(slices, 11);
}

TEST_F(ArbiterTest, AForceThatFoundNoRoomGoesOnWithWhatItHadNoRoomFor) {
  for (const char* const name : {"0", "1", "2"}) {
    AcquireCommand command;
    command.wanted = {{path(name), {}}};
    command.token = token(1);
    ASSERT_EQ(arbiter_->acquire(command, now()).outcome, Outcome::granted);
  }
  ForceFilter filter;
  filter.packed_prefix = "";
  Forcing forcing = arbiter_->begin_force(filter, "why");
  room_ = 0;
  EXPECT_TRUE(arbiter_->advance_force(forcing, 1'000, now()));
  EXPECT_EQ(forcing.forced.outcome, Outcome::busy);
  room_ = endless;
  EXPECT_TRUE(arbiter_->advance_force(forcing, 1'000, now()));
  EXPECT_EQ(forcing.forced.outcome, Outcome::granted);
  EXPECT_EQ(forcing.forced.count, 3U);
}

TEST_F(ArbiterTest, AForceInSlicesLeavesAloneWhatIsGrantedMeanwhile) {
  constexpr int locks = 100;
  const auto name = [](int number) { return path(std::to_string(number)); };
  for (int i = 0; i < locks; ++i) {
    const std::uint8_t number = i % 2 == 0 ? 1 : 2;
    AcquireCommand command;
    command.wanted.push_back({name(i), {}});
    command.token = token(number);
    command.owner = i % 2 == 0 ? "theirs" : "mine";
    ASSERT_EQ(arbiter_->acquire(command, now()).outcome, Outcome::granted);
  }
  ForceFilter filter;
  filter.owner = "theirs";
  Forcing forcing = arbiter_->begin_force(filter, "why");
  AcquireCommand next;
  next.owner = "theirs";
  int slices = 0;
  for (; !arbiter_->advance_force(forcing, 1, now()); ++slices) {
    arbiter_->check_invariants();
    // Another client gets the lock that was ended last, and another force runs meanwhile.
    next.wanted = {{name(0), {}}};
    next.token = token(3);
    ASSERT_NE(arbiter_->acquire(next, now()).outcome, Outcome::token_in_use);
    if (slices == 20) {
      ForceFilter another;
      another.packed_prefix = name(1);
      another.fence = 1;
      ASSERT_EQ(arbiter_->force(another, "", now()).count, 0U);
    }
  }
  EXPECT_GT(slices, locks / 2);
  EXPECT_EQ(forcing.forced.outcome, Outcome::granted);
  EXPECT_EQ(forcing.forced.count, std::size_t{locks / 2});
  EXPECT_EQ(arbiter_->table().lock_count(), std::size_t{locks / 2 + 1});
  EXPECT_TRUE(arbiter_->table().held_by(token(3), PathView{next.wanted[0].packed_path}));
}

class ArbiterRoomTest : public ArbiterTest {
 protected:
  static constexpr std::size_t locks = 5'000;
  static constexpr std::size_t of_a_small_segment = 100'000;  // less than all ends need

  Token acquire_many(Milliseconds lock_delay = {}) {
    AcquireCommand command;
    command.lock_delay = lock_delay;
    for (std::size_t i = 0; i < locks; ++i) {
      command.wanted.push_back({path(std::to_string(i)), {}});
    }
    command.token = token(1);
    command.ttl = Milliseconds{1'000};
    EXPECT_EQ(arbiter_->acquire(command, now()).outcome, Outcome::granted);
    return token(1);
  }

  /// Leaves a lease that has lost some of its locks by expiry, and not yet all.
  void acquire_many_and_lose_some(Token& lost) {
    lost = acquire_many();
    room_ = of_a_small_segment;
    advance_to(milliseconds{1'100});
    ASSERT_GT(arbiter_->table().lock_count(), 0U);
    ASSERT_LT(arbiter_->table().lock_count(), locks);
  }

  /// The same with nothing before, and with room for everything afterwards. The next restart is at
  /// time zero.
  void begin_anew_and_lose_some(bool is_opened, Token& lost) {
    journal_.clear();
    restart();
    now_ = Instant{milliseconds{1}};
    if (is_opened) {
      ASSERT_EQ(open(token(1), milliseconds{1'000}).outcome, LeaseOutcome::opened);
    }
    ASSERT_NO_FATAL_FAILURE(acquire_many_and_lose_some(lost));
    room_ = endless;
    now_ = Instant{};
  }
};

TEST_F(ArbiterRoomTest, WhoWantsAnyOfManyNeedsRoomForWhatItGets) {
  AcquireCommand any;
  for (int i = 0; i < 256; ++i) any.wanted.push_back({path(std::to_string(i)), {}});
  any.any = 2;
  any.meta = std::string(4'096, 'm');
  any.token = token(1);
  room_ = 10'000;
  ASSERT_EQ(arbiter_->acquire(any, now()).outcome, Outcome::granted);
  room_ = 10'000;
  any.token = token(2);
  any.any = 0;
  any.wanted.erase(any.wanted.begin(), any.wanted.begin() + 2);
  EXPECT_EQ(arbiter_->acquire(any, now()).outcome, Outcome::busy);
}

TEST_F(ArbiterRoomTest, ALeaseWithVeryManyLocksExpiresAsTheJournalHasRoom) {
  const Token lost = acquire_many();
  int turns = 0;
  for (; arbiter_->table().lock_count() > 0; ++turns) {
    ASSERT_LT(turns, 100);
    room_ = of_a_small_segment;
    const std::size_t before = journal_.size();
    advance_to(milliseconds{1'100} + turns * milliseconds{20});
    ASSERT_LE(journal_.size() - before, of_a_small_segment);
  }
  EXPECT_GT(turns, 1);
  EXPECT_EQ(arbiter_->renew(lost, {}, now()).ended.value().reason, End::expired);
}

// If it could be renewed, or granted what it waits for, it would live on with some of its locks.
TEST_F(ArbiterRoomTest, ALeaseThatHasLostSomeOfItsLocksByExpiryIsAtItsEnd) {
  ASSERT_EQ(acquire(token(2), path("theirs")).outcome, Outcome::granted);
  const Token lost = acquire_many();
  const Acquired queued = acquire(lost, path("theirs"), std::chrono::hours{1});
  ASSERT_EQ(queued.outcome, Outcome::queued);
  room_ = of_a_small_segment;
  advance_to(milliseconds{1'100});
  ASSERT_GT(arbiter_->table().lock_count(), 1U);
  ASSERT_LT(arbiter_->table().lock_count(), locks);
  ASSERT_TRUE(decided_.contains(queued.waiter));
  EXPECT_EQ(decided_[queued.waiter].outcome, Outcome::lease_ended);
  EXPECT_EQ(arbiter_->renew(lost, {}, now()).outcome, LeaseOutcome::ended);
  EXPECT_EQ(acquire(lost, path("more")).outcome, Outcome::lease_ended);
  EXPECT_EQ(open(lost, milliseconds{0}).outcome, LeaseOutcome::ended);
  EXPECT_EQ(arbiter_->release_all(lost, now()).outcome, ReleaseOutcome::lease_ended);
  room_ = endless;
  advance_to(milliseconds{1'200});
  EXPECT_EQ(arbiter_->table().lock_count(), 1U);
  EXPECT_EQ(arbiter_->table().lease_count(), 1U);
}

// A client that renewed it then would believe that it still has all of its locks.
TEST_F(ArbiterRoomTest, ALeaseThatHasLostSomeOfItsLocksByExpiryIsAtItsEndAfterARestartToo) {
  Token lost;
  ASSERT_NO_FATAL_FAILURE(acquire_many_and_lose_some(lost));
  room_ = endless;
  restart();
  EXPECT_EQ(arbiter_->renew(lost, {}, now()).outcome, LeaseOutcome::ended);
  EXPECT_EQ(acquire(lost, path("more")).outcome, Outcome::lease_ended);
  EXPECT_EQ(arbiter_->release_all(lost, now()).outcome, ReleaseOutcome::lease_ended);
  advance_to(now_);
  EXPECT_EQ(arbiter_->table().lease_count(), 0U);
  EXPECT_EQ(arbiter_->renew(lost, {}, now()).ended.value().reason, End::expired);
}

TEST_F(ArbiterRoomTest, ALeaseIsAtItsEndForAsLongAsTheJournalHasNoRoomForTheRestOfIt) {
  Token lost;
  ASSERT_NO_FATAL_FAILURE(acquire_many_and_lose_some(lost));
  room_ = 10'000;  // for a grant, but not for the end of very many locks
  for (now_ = Instant{milliseconds{2'000}}; now_ < Instant{std::chrono::minutes{11}};
       now_ += milliseconds{5'000}) {
    advance_to(now_);
  }
  EXPECT_EQ(arbiter_->renew(lost, {}, now()).outcome, LeaseOutcome::ended);
  EXPECT_EQ(acquire(lost, path("more")).outcome, Outcome::lease_ended);
}

TEST_F(ArbiterRoomTest, ARestartAmidTheExpiryOfVeryManyLocksDoesNotGiveTheRestItsWholeTtlAgain) {
  for (const bool is_opened : {false, true}) {
    Token lost;
    ASSERT_NO_FATAL_FAILURE(begin_anew_and_lose_some(is_opened, lost));
    restart();
    EXPECT_EQ(arbiter_->renew(lost, {}, now()).ended.value().reason, End::expired);
    EXPECT_EQ(acquire(lost, path("more")).outcome, Outcome::lease_ended);
    advance_to(milliseconds{10});
    EXPECT_EQ(arbiter_->table().lock_count(), 0U);
    EXPECT_EQ(arbiter_->table().lease_count(), 0U);
    restart();
    EXPECT_EQ(arbiter_->renew(lost, {}, now()).outcome, LeaseOutcome::ended);
    EXPECT_EQ(acquire(token(2), path("1")).outcome, Outcome::granted);
  }
}

// Earlier versions did not record that the expiry had begun, only the ends themselves.
TEST_F(ArbiterRoomTest, ARestartAmidSuchAnExpiryInAnEarlierVersionsJournalIsItsEndToo) {
  Token lost;
  ASSERT_NO_FATAL_FAILURE(begin_anew_and_lose_some(false, lost));
  const std::string journal = std::exchange(journal_, {});
  RecordReader reader{journal};
  Record record;
  while (reader.next(record)) {
    if (!std::holds_alternative<TtlChanged>(record)) append_record(record, journal_);
  }
  ASSERT_LT(journal_.size(), journal.size());
  restart();
  EXPECT_EQ(arbiter_->renew(lost, {}, now()).outcome, LeaseOutcome::ended);
  advance_to(Instant{});
  EXPECT_EQ(arbiter_->table().lease_count(), 0U);
}

// A snapshot does not contain the records of the locks that are gone.
TEST_F(ArbiterRoomTest, ASnapshotAmidTheExpiryOfVeryManyLocksDoesNotGiveTheRestItsWholeTtlAgain) {
  for (const bool is_opened : {false, true}) {
    Token lost;
    ASSERT_NO_FATAL_FAILURE(begin_anew_and_lose_some(is_opened, lost));
    journal_ = snapshot_of(journal_);
    restart();
    EXPECT_EQ(arbiter_->renew(lost, {}, now()).outcome, LeaseOutcome::ended);
    EXPECT_EQ(acquire(lost, path("more")).outcome, Outcome::lease_ended);
    EXPECT_GT(arbiter_->table().lock_count(), 0U);
    advance_to(Instant{});
    EXPECT_EQ(arbiter_->table().lock_count(), 0U);
    EXPECT_EQ(arbiter_->table().lease_count(), 0U);
    EXPECT_EQ(arbiter_->renew(lost, {}, now()).ended.value().reason, End::expired);
  }
}

TEST_F(ArbiterRoomTest, ALeaseWithVeryManyLocksIsReleasedAsTheJournalHasRoom) {
  const Token given_back = acquire_many();
  std::size_t released = 0;
  for (int turns = 0; arbiter_->table().lock_count() > 0; ++turns) {
    ASSERT_LT(turns, 100);
    room_ = of_a_small_segment;
    const std::size_t before = journal_.size();
    const auto answer = arbiter_->release_all(given_back, now());
    ASSERT_LE(journal_.size() - before, of_a_small_segment);
    released += answer.count;
    const bool is_over = arbiter_->table().lock_count() == 0;
    EXPECT_EQ(answer.outcome, is_over ? ReleaseOutcome::released : ReleaseOutcome::busy);
  }
  EXPECT_EQ(released, locks);
}

TEST_F(ArbiterRoomTest, ACoolingLockEndsWhenTheJournalHasRoom) {
  AcquireCommand command;
  command.wanted.push_back({path("a"), {}});
  command.token = token(1);
  command.ttl = Milliseconds{1'000};
  command.lock_delay = Milliseconds{1'000};
  ASSERT_EQ(arbiter_->acquire(command, now()).outcome, Outcome::granted);
  advance_to(milliseconds{1'500});
  room_ = 0;
  advance_to(milliseconds{3'000});
  EXPECT_EQ(acquire(token(2), path("a")).outcome, Outcome::blocked);
  room_ = endless;
  advance_to(milliseconds{3'100});
  EXPECT_EQ(acquire(token(2), path("a")).outcome, Outcome::granted);
}

// Otherwise very many would use up the time of all others, and the journal's room with it.
TEST_F(ArbiterRoomTest, HoweverManyCannotEndForWantOfRoomFewAreTriedAtOnce) {
  acquire_many(Milliseconds{1'000});
  advance_to(milliseconds{1'500});
  ASSERT_EQ(arbiter_->table().lock_count(), locks);  // they cool
  room_ = 0;
  advance_to(milliseconds{2'600});
  for (int turn = 1; turn <= 10; ++turn) {
    room_asked_ = 0;
    advance_to(milliseconds{2'600} + turn * milliseconds{20});
    EXPECT_GT(room_asked_, 0U);
    EXPECT_LT(room_asked_, locks);
  }
  ASSERT_EQ(arbiter_->table().lock_count(), locks);
  room_ = endless;
  advance_to(milliseconds{2'900});
  EXPECT_EQ(arbiter_->table().lock_count(), 0U);
}

// One client that keeps changing its TTL would use up the reserve that all need for releases.
TEST_F(ArbiterRoomTest, OnAFullDiskARenewalThatChangesTheTtlIsRefusedAndOthersAreNot) {
  AcquireCommand command;
  command.wanted.push_back({path("a"), {}});
  command.token = token(1);
  command.ttl = Milliseconds{1'000};
  ASSERT_EQ(arbiter_->acquire(command, now()).outcome, Outcome::granted);
  is_full_ = true;
  advance_to(milliseconds{600});
  EXPECT_EQ(arbiter_->renew(token(1), Milliseconds{9'000}, now()).outcome, LeaseOutcome::disk_full);
  const auto renewed = arbiter_->renew(token(1), Milliseconds{1'000}, now());
  EXPECT_EQ(renewed.outcome, LeaseOutcome::living);
  EXPECT_EQ(renewed.ttl, Milliseconds{1'000});
  EXPECT_EQ(arbiter_->renew(token(1), {}, now()).outcome, LeaseOutcome::living);
  advance_to(milliseconds{1'400});
  EXPECT_EQ(arbiter_->release(token(1), PathView{path("a")}, now()).outcome,
            ReleaseOutcome::released);
}

// Another client acquires the lock that it was to be granted, while the journal makes room.
TEST_F(ArbiterRoomTest, AWaitIsOverThoughTheJournalHadNoRoomForTheGrantAtItsEnd) {
  AcquireCommand shared;
  shared.wanted.push_back({path("a"), Shape{Mode::shared, true, true}});
  shared.token = token(1);
  ASSERT_EQ(arbiter_->acquire(shared, now()).outcome, Outcome::granted);
  ASSERT_EQ(acquire(token(2), path("a"), milliseconds{100}).outcome, Outcome::queued);
  shared.token = token(3);
  shared.wait = milliseconds{101};
  const Acquired queued = arbiter_->acquire(shared, now());
  ASSERT_EQ(queued.outcome, Outcome::queued);
  room_ = 0;
  advance_to(milliseconds{102});
  ASSERT_FALSE(decided_.contains(queued.waiter));
  room_ = endless;
  ASSERT_EQ(acquire(token(1), path("a")).outcome, Outcome::granted);  // an upgrade
  advance_to(milliseconds{200});
  ASSERT_TRUE(decided_.contains(queued.waiter));
  EXPECT_EQ(decided_[queued.waiter].outcome, Outcome::blocked);
}

// With small segments there is never room for that much: nobody else waits for it.
TEST_F(ArbiterRoomTest, WhoWaitsForMoreThanTheJournalHasRoomForHoldsUpNobodyElse) {
  ASSERT_EQ(acquire(token(1), path("large")).outcome, Outcome::granted);
  ASSERT_EQ(acquire(token(2), path("small")).outcome, Outcome::granted);
  AcquireCommand command;
  command.wanted.push_back({path("large"), {}});
  for (int i = 0; i < 100; ++i) command.wanted.push_back({path(std::to_string(i)), {}});
  command.token = token(3);
  command.wait = milliseconds{1'000};
  const Acquired large = arbiter_->acquire(command, now());
  ASSERT_EQ(large.outcome, Outcome::queued);
  const Acquired small = acquire(token(4), path("small"), std::chrono::hours{1});
  ASSERT_EQ(small.outcome, Outcome::queued);
  room_ = 20'000;
  for (const auto& [number, name] : {std::pair{1, "large"}, std::pair{2, "small"}}) {
    ASSERT_EQ(
        arbiter_->release(token(static_cast<std::uint8_t>(number)), PathView{path(name)}, now())
            .outcome,
        ReleaseOutcome::released);
  }
  advance_to(milliseconds{10});
  ASSERT_TRUE(decided_.contains(small.waiter));
  EXPECT_EQ(decided_[small.waiter].outcome, Outcome::granted);
  EXPECT_EQ(acquire(token(5), path("0")).outcome, Outcome::blocked);
  ASSERT_FALSE(decided_.contains(large.waiter));
  advance_to(milliseconds{1'100});
  ASSERT_TRUE(decided_.contains(large.waiter));
  EXPECT_EQ(decided_[large.waiter].outcome, Outcome::busy);
  EXPECT_EQ(acquire(token(5), path("0")).outcome, Outcome::granted);
}

TEST_F(ArbiterRoomTest, WhoWaitsForMoreThanTheJournalHasRoomForIsGrantedWhenThereIsRoom) {
  ASSERT_EQ(acquire(token(1), path("0")).outcome, Outcome::granted);
  AcquireCommand command;
  for (int i = 0; i < 100; ++i) command.wanted.push_back({path(std::to_string(i)), {}});
  command.token = token(2);
  command.wait = milliseconds{1'000};
  const Acquired large = arbiter_->acquire(command, now());
  ASSERT_EQ(large.outcome, Outcome::queued);
  room_ = 20'000;
  ASSERT_EQ(arbiter_->release(token(1), PathView{path("0")}, now()).outcome,
            ReleaseOutcome::released);
  advance_to(milliseconds{10});
  ASSERT_FALSE(decided_.contains(large.waiter));
  room_ = endless;
  advance_to(*arbiter_->next_due());
  ASSERT_TRUE(decided_.contains(large.waiter));
  EXPECT_EQ(decided_[large.waiter].outcome, Outcome::granted);
  EXPECT_LT(now_, Instant{milliseconds{100}});
}

// While it holds /p it passes the waiter for /p; afterwards it is behind that one, at /z.
TEST_F(ArbiterTest, ADeadlockThatAReleaseMakesIsTold) {
  ASSERT_EQ(acquire(token(1), path("p")).outcome, Outcome::granted);
  ASSERT_EQ(acquire(token(1), path("q")).outcome, Outcome::granted);
  ASSERT_EQ(acquire(token(3), path("x")).outcome, Outcome::granted);
  ASSERT_EQ(acquire(token(4), path("z")).outcome, Outcome::granted);
  AcquireCommand several;
  for (const char* name : {"p", "x", "z"}) several.wanted.push_back({path(name), {}});
  several.token = token(2);
  several.wait = std::chrono::hours{1};
  ASSERT_EQ(arbiter_->acquire(several, now()).outcome, Outcome::queued);
  ASSERT_EQ(acquire(token(3), path("q"), std::chrono::hours{1}).outcome, Outcome::queued);
  const Acquired waiting = acquire(token(1), path("z"), std::chrono::hours{1});
  ASSERT_EQ(waiting.outcome, Outcome::queued);
  ASSERT_EQ(arbiter_->release(token(1), PathView{path("p")}, now()).outcome,
            ReleaseOutcome::released);
  advance_to(now_);
  ASSERT_TRUE(decided_.contains(waiting.waiter));
  EXPECT_EQ(decided_[waiting.waiter].outcome, Outcome::deadlock);
  const auto& cycle = decided_[waiting.waiter].cycle;
  ASSERT_EQ(cycle.size(), 3U);
  // It is behind an earlier waiter for /z, which waits for the holder of /x, which waits for its
  // /q.
  EXPECT_EQ(cycle[0].waits_for, path("z"));
  EXPECT_EQ(cycle[0].blocked_by, path("z"));
  EXPECT_EQ(cycle[0].fence, 0U);
  EXPECT_EQ(cycle[1].waits_for, path("x"));
  EXPECT_EQ(cycle[1].blocked_by, path("x"));
  EXPECT_EQ(cycle[1].fence, arbiter_->table().held_by(token(3), PathView{path("x")})->id.fence);
  EXPECT_EQ(cycle[2].waits_for, path("q"));
  EXPECT_EQ(cycle[2].blocked_by, path("q"));
  EXPECT_EQ(cycle[2].fence, arbiter_->table().held_by(token(1), PathView{path("q")})->id.fence);
}

TEST_F(ArbiterTest, ADeadlockTellsWhatIsInTheWayAlsoElsewhereInTheTree) {
  Path below;
  ASSERT_EQ(below.push_back("a"), Path::Push::ok);
  ASSERT_EQ(below.push_back("d"), Path::Push::ok);
  const std::string inner{below.view().packed()};
  const Acquired own = acquire(token(1), inner);
  const Acquired other = acquire(token(2), path("b"));
  ASSERT_EQ(acquire(token(2), path("a"), std::chrono::hours{1}).outcome, Outcome::queued);
  const Acquired refused = acquire(token(1), path("b"), std::chrono::hours{1});
  ASSERT_EQ(refused.outcome, Outcome::deadlock);
  ASSERT_EQ(refused.cycle.size(), 2U);
  EXPECT_EQ(refused.cycle[0].blocked_by, path("b"));
  EXPECT_EQ(refused.cycle[0].fence, other.fence);
  EXPECT_EQ(refused.cycle[1].waits_for, path("a"));
  EXPECT_EQ(refused.cycle[1].blocked_by, inner);
  EXPECT_EQ(refused.cycle[1].fence, own.fence);
}

// Others wait for the lock that has become exclusive; its lease already waits for them.
TEST_F(ArbiterTest, ADeadlockThatAChangeOfModeMakesIsTold) {
  ASSERT_EQ(acquire(token(2), path("theirs")).outcome, Outcome::granted);
  ASSERT_EQ(acquire(token(3), path("z")).outcome, Outcome::granted);
  AcquireCommand shared;
  shared.wanted.push_back({path("p"), Shape{Mode::shared, true, true}});
  shared.token = token(1);
  ASSERT_EQ(arbiter_->acquire(shared, now()).outcome, Outcome::granted);
  shared.wanted.push_back({path("z"), {}});
  shared.token = token(2);
  shared.wait = std::chrono::hours{1};
  ASSERT_EQ(arbiter_->acquire(shared, now()).outcome, Outcome::queued);
  const Acquired waiting = acquire(token(1), path("theirs"), std::chrono::hours{1});
  ASSERT_EQ(waiting.outcome, Outcome::queued);
  ASSERT_EQ(acquire(token(1), path("p")).outcome, Outcome::granted);
  advance_to(now_);
  ASSERT_TRUE(decided_.contains(waiting.waiter));
  EXPECT_EQ(decided_[waiting.waiter].outcome, Outcome::deadlock);
}

// If it were granted afterwards, its new lease would answer renewals as if nothing had been lost.
TEST_F(ArbiterTest, WhoWaitedBeforeItsTokenHadALeaseHearsThatThisLeaseHasExpired) {
  ASSERT_EQ(acquire(token(1), path("theirs")).outcome, Outcome::granted);
  const Token lost = token(2);
  const Acquired queued = acquire(lost, path("theirs"), std::chrono::hours{1});
  ASSERT_EQ(queued.outcome, Outcome::queued);
  AcquireCommand command;
  command.wanted.push_back({path("mine"), {}});
  command.token = lost;
  command.ttl = Milliseconds{1'000};
  ASSERT_EQ(arbiter_->acquire(command, now()).outcome, Outcome::granted);
  advance_to(milliseconds{1'100});
  ASSERT_EQ(arbiter_->release(token(1), PathView{path("theirs")}, now()).outcome,
            ReleaseOutcome::released);
  advance_to(now_);
  ASSERT_TRUE(decided_.contains(queued.waiter));
  EXPECT_EQ(decided_[queued.waiter].outcome, Outcome::lease_ended);
  EXPECT_EQ(arbiter_->renew(lost, {}, now()).outcome, LeaseOutcome::ended);
}

// Otherwise a lock that was added hides from the renewing client that another one was lost.
TEST_F(ArbiterTest, ARenewalTellsOfALossAlsoWhenAsManyLocksAreThereAsBefore) {
  const auto force = [this](const std::string& at) {
    ForceFilter filter;
    filter.packed_path = at;
    return arbiter_->force(filter, "", now()).count;
  };
  const Token mine = token(1);
  ASSERT_EQ(open(mine, milliseconds{0}).outcome, LeaseOutcome::opened);
  EXPECT_EQ(arbiter_->renew(mine, {}, now()).newest_fence, 0U);
  ASSERT_EQ(acquire(mine, path("a")).outcome, Outcome::granted);
  const Acquired second = acquire(mine, path("b"));
  const auto before = arbiter_->renew(mine, {}, now());
  EXPECT_EQ(before.locks, 2U);
  EXPECT_EQ(before.newest_fence, second.fence);
  ASSERT_EQ(force(path("a")), 1U);
  const Acquired third = acquire(mine, path("c"));
  const auto after = arbiter_->renew(mine, {}, now());
  EXPECT_EQ(after.locks, 2U);
  EXPECT_EQ(after.newest_fence, third.fence);
  ASSERT_EQ(force(path("c")), 1U);
  EXPECT_EQ(arbiter_->renew(mine, {}, now()).newest_fence, second.fence);
}

TEST_F(ArbiterTest, WhoWaitsForSeveralOfALeaseIsOneWhoStandsBehindIt) {
  ASSERT_EQ(acquire(token(1), "").outcome, Outcome::granted);
  AcquireCommand several;
  for (const char* name : {"p", "x", "z"}) several.wanted.push_back({path(name), {}});
  several.token = token(2);
  several.wait = std::chrono::hours{1};
  ASSERT_EQ(arbiter_->acquire(several, now()).outcome, Outcome::queued);
  EXPECT_EQ(arbiter_->renew(token(1), {}, now()).waiters, 1U);
}

TEST_F(ArbiterTest, WhoWaitsWithoutANameHasThatOfItsLeaseWhenThatIsKnown) {
  ASSERT_EQ(acquire(token(1), a_).outcome, Outcome::granted);
  ASSERT_EQ(acquire(token(1), path("b")).outcome, Outcome::granted);
  const auto owner_at = [this](const std::string& packed_path) {
    return arbiter_->waiting_at(PathView{packed_path}, 1).at(0).owner;
  };
  const auto wait_for = [this](std::uint8_t number, const std::string& packed_path,
                               const std::optional<std::string>& owner) {
    AcquireCommand command;
    command.wanted.push_back({packed_path, {}});
    command.token = token(number);
    command.owner = owner;
    command.wait = std::chrono::hours{1};
    return arbiter_->acquire(command, now()).outcome;
  };
  ASSERT_EQ(wait_for(2, a_, {}), Outcome::queued);
  EXPECT_EQ(owner_at(a_), "");
  ASSERT_EQ(wait_for(2, path("b"), "ann"), Outcome::queued);
  EXPECT_EQ(owner_at(a_), "ann");
  ASSERT_EQ(arbiter_->release(token(1), PathView{a_}, now()).outcome, ReleaseOutcome::released);
  advance_to(now_);
  EXPECT_EQ(arbiter_->table().find_lease_of(token(2))->owner, "ann");

  ASSERT_EQ(wait_for(3, path("b"), {}), Outcome::queued);
  ASSERT_EQ(arbiter_->open_lease(token(3), {}, "bob", {}, now()).outcome, LeaseOutcome::opened);
  ForceFilter filter;
  filter.owner = "bob";
  filter.packed_prefix = path("b");
  filter.ends_waiting = true;
  EXPECT_EQ(arbiter_->force(filter, "", now()).count, 1U);
}

TEST_F(ArbiterTest, ARequestOfAnotherOwnerIsNotTheSame) {
  ASSERT_EQ(acquire(token(1), path("a")).outcome, Outcome::granted);
  AcquireCommand command;
  command.wanted.push_back({path("a"), {}});
  command.token = token(2);
  command.owner = "ann";
  command.wait = milliseconds{100};
  ASSERT_EQ(arbiter_->acquire(command, now()).outcome, Outcome::queued);
  command.owner = "bob";
  EXPECT_EQ(arbiter_->acquire(command, now()).outcome, Outcome::token_in_use);
}

// The process stood still, so it sees the end of the wait and the release at the same time.
TEST_F(ArbiterTest, WhoseWaitEndsWhenNothingIsInTheWayIsGranted) {
  ASSERT_EQ(acquire(token(1), path("a")).outcome, Outcome::granted);
  const Acquired queued = acquire(token(2), path("a"), milliseconds{100});
  ASSERT_EQ(queued.outcome, Outcome::queued);
  const Acquired behind = acquire(token(3), path("a"), milliseconds{100});
  ASSERT_EQ(behind.outcome, Outcome::queued);
  now_ = Instant{milliseconds{500}};
  ASSERT_EQ(arbiter_->release(token(1), PathView{path("a")}, now()).outcome,
            ReleaseOutcome::released);
  advance_to(now_);
  EXPECT_EQ(decided_.at(queued.waiter).outcome, Outcome::granted);
  EXPECT_EQ(decided_.at(behind.waiter).outcome, Outcome::blocked);
  EXPECT_FALSE(decided_.at(behind.waiter).blocked_by.empty());
}

TEST_F(ArbiterTest, WhoHasLeftTakesOnlyAPlaceThatIsKept) {
  ASSERT_EQ(acquire(token(1), a_).outcome, Outcome::granted);
  const Acquired waiting = acquire(token(2), a_, milliseconds{20'000});
  ASSERT_EQ(waiting.outcome, Outcome::queued);
  AcquireCommand late;
  late.wanted.push_back({a_, {}});
  late.token = token(2);
  late.wait = milliseconds{20'000};
  late.client_has_left = true;
  EXPECT_EQ(arbiter_->acquire(late, now()).outcome, Outcome::superseded);
  EXPECT_FALSE(decided_.contains(waiting.waiter));
  ASSERT_TRUE(arbiter_->abandon(waiting.waiter, now()));
  EXPECT_EQ(arbiter_->acquire(late, now()).outcome, Outcome::queued);
}

// API.md says how long things are remembered. These tests use numbers: a comparison with the code's
// own constants would not notice that those have changed.

TEST_F(ArbiterTest, APlaceIsKeptFor15Seconds) {
  std::uint8_t client = 0;
  for (const bool gives_up : {false, true}) {
    for (const milliseconds away : {milliseconds{14'990}, milliseconds{15'010}}) {
      SCOPED_TRACE(std::to_string(gives_up) + ", back after " + std::to_string(away.count()));
      const std::string wanted = path(std::to_string(client));
      const Token holder = token(++client);
      const Token first = token(++client);
      const Token second = token(++client);
      ASSERT_EQ(acquire(holder, wanted).outcome, Outcome::granted);
      const Acquired queued = acquire(first, wanted, milliseconds{gives_up ? 100'000 : 100});
      ASSERT_EQ(queued.outcome, Outcome::queued);
      const WaiterId behind = acquire(second, wanted, milliseconds{100'000}).waiter;
      advance_to(now_ + milliseconds{100});
      if (gives_up) {
        ASSERT_TRUE(arbiter_->abandon(queued.waiter, now()));
      } else {
        ASSERT_EQ(decided_.at(queued.waiter).outcome, Outcome::blocked);
      }
      advance_to(now_ + away);
      const WaiterId back = acquire(first, wanted, milliseconds{1'000}).waiter;
      ASSERT_EQ(arbiter_->release_all(holder, now()).outcome, ReleaseOutcome::released);
      advance_to(now_);
      const bool has_place = away < std::chrono::seconds{15};
      EXPECT_EQ(decided_.contains(back), has_place);
      EXPECT_EQ(decided_.contains(behind), !has_place);
      EXPECT_EQ(decided_.at(has_place ? back : behind).outcome, Outcome::granted);
    }
  }
}

TEST_F(ArbiterTest, WhatHasEndedIsRememberedFor10Minutes) {
  const Token released = token(1);
  const Token expired = token(2);
  const Token forced = token(3);
  ASSERT_EQ(acquire(released, path("released")).outcome, Outcome::granted);
  ASSERT_EQ(acquire(forced, path("forced")).outcome, Outcome::granted);
  ASSERT_EQ(open(expired, milliseconds{100}).outcome, LeaseOutcome::opened);
  ASSERT_EQ(acquire(expired, path("expired")).outcome, Outcome::granted);
  advance_to(now_ + milliseconds{100});
  ASSERT_EQ(arbiter_->release(released, PathView{path("released")}, now()).outcome,
            ReleaseOutcome::released);
  ForceFilter filter;
  filter.packed_path = path("forced");
  ASSERT_EQ(arbiter_->force(filter, "why", now()).count, 1U);

  const auto release = [&](const Token& its, std::string_view name) {
    return arbiter_->release(its, PathView{path(name)}, now()).outcome;
  };
  const Instant ended = now_;
  advance_to(ended + std::chrono::minutes{10} - milliseconds{10});
  EXPECT_EQ(release(released, "released"), ReleaseOutcome::released_before);
  EXPECT_EQ(arbiter_->release_all(released, now()).outcome, ReleaseOutcome::released_before);
  EXPECT_EQ(release(expired, "expired"), ReleaseOutcome::lease_ended);
  EXPECT_EQ(release(forced, "forced"), ReleaseOutcome::lease_ended);
  EXPECT_EQ(arbiter_->renew(expired, {}, now()).ended.value().reason, End::expired);
  EXPECT_EQ(arbiter_->renew(forced, {}, now()).ended.value().detail, "why");
  EXPECT_EQ(acquire(expired, path("other")).outcome, Outcome::lease_ended);
  advance_to(ended + std::chrono::minutes{10} + milliseconds{10});
  EXPECT_EQ(release(released, "released"), ReleaseOutcome::not_held);
  EXPECT_EQ(arbiter_->release_all(released, now()).outcome, ReleaseOutcome::not_held);
  EXPECT_EQ(release(expired, "expired"), ReleaseOutcome::not_held);
  EXPECT_EQ(release(forced, "forced"), ReleaseOutcome::not_held);
  EXPECT_EQ(arbiter_->renew(expired, {}, now()).outcome, LeaseOutcome::unknown);
  EXPECT_EQ(arbiter_->renew(forced, {}, now()).outcome, LeaseOutcome::unknown);
  EXPECT_EQ(acquire(expired, path("other")).outcome, Outcome::granted);
}

}  // namespace
}  // namespace locker::core
