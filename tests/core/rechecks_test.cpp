#include "core/rechecks.hpp"

#include <gtest/gtest.h>

#include <array>
#include <chrono>
#include <memory>
#include <optional>
#include <utility>

namespace locker::core {
namespace {

constexpr std::size_t woken_at_once_max = 2;

class RechecksTest : public testing::Test {
 protected:
  RechecksTest() {
    for (Ticket ticket = 0; ticket < waiters_.size(); ++ticket) waiters_.at(ticket).ticket = ticket;
  }
  static Instant at(int milliseconds) { return Instant{std::chrono::milliseconds{milliseconds}}; }
  /// Returns the ticket of the next waiter.
  std::optional<Ticket> take(Instant now = {}) {
    const Waiter* const next =
        rechecks_.take_next(now, [this](const Waiter&) { return has_room_; });
    if (next == nullptr) return std::nullopt;
    return next->ticket;
  }
  std::unique_ptr<Dependants> list_of(std::initializer_list<Ticket> tickets) {
    auto list = std::make_unique<Dependants>();
    for (const Ticket ticket : tickets) Rechecks::register_in(waiters_.at(ticket), *list);
    return list;
  }

  std::array<Waiter, 10> waiters_;
  Rechecks rechecks_{woken_at_once_max};
  bool has_room_ = false;
};

TEST_F(RechecksTest, TheLowestTicketComesFirstWhereverItIs) {
  rechecks_.add(waiters_[6]);
  rechecks_.add(waiters_[3]);
  rechecks_.take_over(list_of({2, 5, 7}));
  rechecks_.take_over(list_of({4, 8, 9}));
  rechecks_.take_over(nullptr);
  for (Ticket ticket = 2; ticket < 10; ++ticket) EXPECT_EQ(take(), ticket);
  EXPECT_EQ(take(), std::nullopt);
  EXPECT_EQ(rechecks_.next_due(), std::nullopt);
}

TEST_F(RechecksTest, OfALongListEachStaysInItUntilItsTurn) {
  rechecks_.take_over(list_of({1, 2}));
  EXPECT_TRUE(waiters_[1].registrations.empty());
  rechecks_.take_over(list_of({3, 4, 5}));
  EXPECT_EQ(waiters_[3].registrations.size(), 1U);
  EXPECT_EQ(rechecks_.size(), 2U);
  rechecks_.forget(waiters_[3]);
  rechecks_.add(waiters_[4]);
  EXPECT_EQ(rechecks_.size(), 3U);
  for (const Ticket ticket : {1U, 2U, 4U, 5U}) EXPECT_EQ(take(), ticket);
  EXPECT_EQ(take(), std::nullopt);
}

TEST_F(RechecksTest, AListWhoseFirstMembersLeaveHasItsTurnByTheOthers) {
  rechecks_.take_over(list_of({0, 1, 8}));
  rechecks_.take_over(list_of({2, 4, 9}));
  rechecks_.take_over(list_of({0, 3, 7}));
  rechecks_.take_over(list_of({0, 1, 2}));
  for (const Ticket ticket : {0U, 1U, 2U}) rechecks_.forget(waiters_.at(ticket));
  for (const Ticket ticket : {3U, 4U, 7U, 8U, 9U}) EXPECT_EQ(take(), ticket);
  EXPECT_EQ(take(), std::nullopt);
  EXPECT_EQ(rechecks_.next_due(), std::nullopt);
}

TEST_F(RechecksTest, WhoIsLookedAtAgainIsInNoListAnyMore) {
  const auto first = list_of({1});
  const auto second = list_of({1, 2});
  rechecks_.add_all(*first);
  EXPECT_TRUE(first->empty());
  EXPECT_EQ(second->size(), 1U);
  EXPECT_EQ(take(), 1U);
  EXPECT_EQ(take(), std::nullopt);
}

TEST_F(RechecksTest, NobodyIsLookedAtWhileTheJournalMakesRoom) {
  rechecks_.add(waiters_[1]);
  rechecks_.hold_until(at(5));
  EXPECT_EQ(rechecks_.next_due(), at(5));
  EXPECT_EQ(take(at(4)), std::nullopt);
  EXPECT_EQ(take(at(5)), 1U);
}

TEST_F(RechecksTest, WhoHasNoRoomLetsOthersPassUntilThereIsSome) {
  rechecks_.add(waiters_[2]);
  rechecks_.delay(waiters_[1], at(0));
  EXPECT_EQ(take(at(0)), 2U);
  EXPECT_EQ(rechecks_.next_due(), at(50));
  EXPECT_EQ(take(at(50)), std::nullopt);
  EXPECT_EQ(rechecks_.next_due(), at(100));
  has_room_ = true;
  EXPECT_EQ(take(at(99)), std::nullopt);
  EXPECT_EQ(take(at(100)), 1U);
  EXPECT_EQ(rechecks_.next_due(), std::nullopt);
}

TEST_F(RechecksTest, AReasonToLookComesBeforeAWaitForRoom) {
  rechecks_.delay(waiters_[1], at(0));
  rechecks_.add(waiters_[1]);
  EXPECT_EQ(rechecks_.size(), 1U);
  EXPECT_EQ(take(at(0)), 1U);
  rechecks_.delay(waiters_[1], at(0));
  rechecks_.forget(waiters_[1]);
  EXPECT_FALSE(rechecks_.contains(waiters_[1]));
  EXPECT_EQ(rechecks_.next_due(), std::nullopt);
}

}  // namespace
}  // namespace locker::core
