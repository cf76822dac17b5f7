#include <gtest/gtest.h>

#include <chrono>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>

#include "core/arbiter.hpp"

namespace locker::core {
namespace {

using std::chrono::milliseconds;

/// What the random commands of arbiter_oracle_test.cpp do not come to: leases without locks,
/// restarts, and a clock that has gone on while nobody looked.
class ArbiterTest : public testing::Test, protected Arbiter::Host {
 protected:
  ArbiterTest() { arbiter_->start(*this, 1); }

  void on_record(const Record& record) override { append_record(record, journal_); }
  void on_event(const Event&) override {}
  void on_decided(WaiterId waiter, Acquired&& acquired) override {
    decided_[waiter] = std::move(acquired);
  }
  Arbiter::Room room_for(std::size_t, bool) const override { return Arbiter::Room::enough; }

  [[nodiscard]] Now now() const { return {now_, static_cast<Fence>(now_.count())}; }
  void advance_to(Instant instant) {
    now_ = instant;
    while (arbiter_->advance(now(), 100)) {
    }
  }
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
  Acquired acquire(const Token& token, const std::string& path, Instant wait = Instant{0}) {
    AcquireCommand command;
    command.wanted.push_back({path, {}});
    command.token = token;
    command.wait = wait;
    return arbiter_->acquire(command, now());
  }
  Arbiter::LeaseAnswer open(const Token& token, milliseconds ttl) {
    return arbiter_->open_lease(token, {}, {},
                                Milliseconds{static_cast<std::uint32_t>(ttl.count())}, now());
  }

  std::string journal_;
  std::unique_ptr<Arbiter> arbiter_ = std::make_unique<Arbiter>(1, Arbiter::Limits{});
  std::map<WaiterId, Acquired> decided_;
  Instant now_{milliseconds{1}};
};

TEST_F(ArbiterTest, AfterARestartALeaseWithoutLocksIsKnownToHaveExpired) {
  const Token lost = token(1);
  ASSERT_EQ(open(lost, milliseconds{300}).outcome, Arbiter::LeaseOutcome::opened);
  advance_to(milliseconds{400});
  ASSERT_EQ(arbiter_->renew(lost, {}, now()).outcome, Arbiter::LeaseOutcome::ended);
  restart();
  const auto renewed = arbiter_->renew(lost, {}, now());
  EXPECT_EQ(renewed.outcome, Arbiter::LeaseOutcome::ended);
  EXPECT_EQ(renewed.reason, End::expired);
  EXPECT_EQ(acquire(lost, path("a")).outcome, Outcome::lease_ended);
}

TEST_F(ArbiterTest, AfterARestartAnOpenedLeaseIsKnownToHaveLostAllByForce) {
  const Token lost = token(1);
  ASSERT_EQ(open(lost, milliseconds{0}).outcome, Arbiter::LeaseOutcome::opened);
  ASSERT_EQ(acquire(lost, path("a")).outcome, Outcome::granted);
  Arbiter::ForceFilter filter;
  filter.packed_path = path("a");
  ASSERT_EQ(arbiter_->force(filter, "", now()).count, 1U);
  restart();
  EXPECT_EQ(arbiter_->renew(lost, {}, now()).reason, End::forced);
  EXPECT_EQ(acquire(lost, path("a")).outcome, Outcome::lease_ended);
}

TEST_F(ArbiterTest, AfterARestartAReleasedLeaseCanBeReleasedAgain) {
  const Token gone = token(1);
  ASSERT_EQ(open(gone, milliseconds{0}).outcome, Arbiter::LeaseOutcome::opened);
  ASSERT_EQ(arbiter_->release_all(gone, now()).outcome, Arbiter::ReleaseOutcome::released);
  restart();
  EXPECT_EQ(arbiter_->release_all(gone, now()).outcome, Arbiter::ReleaseOutcome::released_before);
}

// The process stood still: the end of the wait and the release are seen at the same time.
TEST_F(ArbiterTest, WhoseWaitEndsWhenNothingIsInTheWayIsGranted) {
  ASSERT_EQ(acquire(token(1), path("a")).outcome, Outcome::granted);
  const Acquired queued = acquire(token(2), path("a"), milliseconds{100});
  ASSERT_EQ(queued.outcome, Outcome::queued);
  const Acquired behind = acquire(token(3), path("a"), milliseconds{100});
  ASSERT_EQ(behind.outcome, Outcome::queued);
  now_ = milliseconds{500};
  ASSERT_EQ(arbiter_->release(token(1), PathView{path("a")}, now()).outcome,
            Arbiter::ReleaseOutcome::released);
  advance_to(now_);
  EXPECT_EQ(decided_.at(queued.waiter).outcome, Outcome::granted);
  EXPECT_EQ(decided_.at(behind.waiter).outcome, Outcome::blocked);
  EXPECT_FALSE(decided_.at(behind.waiter).blocked_by.empty());
}

}  // namespace
}  // namespace locker::core
