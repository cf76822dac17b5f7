#include "core/waiters.hpp"

#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <utility>
#include <vector>

namespace locker::core {
namespace {

Token token(std::uint8_t number) {
  Token token;
  token.bytes[0] = number;
  return token;
}

class WaitersTest : public testing::Test {
 protected:
  Waiter& add(std::uint8_t lease, const std::vector<std::string>& paths) {
    auto waiter = std::make_unique<Waiter>();
    waiter->id = 100 + ++added_;
    waiter->ticket = added_;
    waiter->token = token(lease);
    waiter->bytes = 1'000;
    for (const std::string& path : paths) waiter->wanted.push_back({path, {}});
    return waiters_.add(std::move(waiter));
  }
  ~WaitersTest() override { waiters_.check_invariants(); }

  Waiters waiters_;
  std::uint64_t added_ = 0;
};

TEST_F(WaitersTest, EachIsFoundInAllWays) {
  Waiter& first = add(1, {"a", "b"});
  Waiter& second = add(2, {"a"});
  Waiter& third = add(1, {"c"});
  EXPECT_EQ(waiters_.find(101), &first);
  EXPECT_EQ(waiters_.by_ticket().at(2), &second);
  ASSERT_EQ(waiters_.of(token(1)).size(), 2U);
  EXPECT_EQ(waiters_.of(token(1)).front(), &first);
  EXPECT_EQ(waiters_.of(token(1)).back(), &third);
  EXPECT_EQ(waiters_.who_wants(token(1), "b"), &first);
  EXPECT_EQ(waiters_.who_wants(token(2), "a"), &second);
  EXPECT_EQ(waiters_.size(), 3U);
  EXPECT_EQ(waiters_.bytes(), 3'000U);
}

TEST_F(WaitersTest, WhoIsNotThereIsNotFound) {
  add(1, {"a"});
  EXPECT_EQ(waiters_.find(1), nullptr);
  EXPECT_TRUE(waiters_.of(token(2)).empty());
  EXPECT_EQ(waiters_.who_wants(token(2), "a"), nullptr);
  EXPECT_EQ(waiters_.who_wants(token(1), "b"), nullptr);
}

TEST_F(WaitersTest, NothingIsLeftOfWhoGoes) {
  Waiter& first = add(1, {"a", "b"});
  Waiter& second = add(1, {"c"});
  waiters_.remove(first);
  EXPECT_EQ(waiters_.find(101), nullptr);
  EXPECT_FALSE(waiters_.by_ticket().contains(1));
  EXPECT_EQ(waiters_.who_wants(token(1), "b"), nullptr);
  ASSERT_EQ(waiters_.of(token(1)).size(), 1U);
  EXPECT_EQ(waiters_.bytes(), 1'000U);
  waiters_.remove(second);
  EXPECT_TRUE(waiters_.by_token().empty());
  EXPECT_EQ(waiters_.size(), 0U);
  EXPECT_EQ(waiters_.bytes(), 0U);
}

TEST_F(WaitersTest, WhoComesBackHasAnotherIdAndPerhapsAnotherPlace) {
  Waiter& first = add(1, {"a"});
  Waiter& second = add(2, {"a"});
  waiters_.change_id(first, 200);
  waiters_.change_ticket(first, 3);
  EXPECT_EQ(waiters_.find(101), nullptr);
  EXPECT_EQ(waiters_.find(200), &first);
  EXPECT_EQ(waiters_.by_ticket().begin()->second, &second);
  EXPECT_EQ(waiters_.by_ticket().rbegin()->second, &first);
}

}  // namespace
}  // namespace locker::core
