// The lists, without a lock service around them.
#include "server/service/lock_pages.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace locker::server {
namespace {

class LockPagesTest : public testing::Test, private core::Arbiter::Host {
 protected:
  using Names = std::vector<std::string>;

  LockPagesTest() { arbiter_.start(*this, 1); }

  static std::string path(std::string_view first, std::string_view second) {
    core::Path path;
    EXPECT_EQ(path.push_back(first), core::Path::Push::ok);
    EXPECT_EQ(path.push_back(second), core::Path::Push::ok);
    return std::string{path.view().packed()};
  }
  static std::string prefix(std::string_view first) {
    core::Path path;
    EXPECT_EQ(path.push_back(first), core::Path::Push::ok);
    return std::string{path.view().packed()};
  }
  core::Token fresh_token() {
    core::Token token;
    token.bytes[0] = static_cast<std::uint8_t>(++tokens_ >> 16U);
    token.bytes[1] = static_cast<std::uint8_t>(tokens_ >> 8U);
    token.bytes[2] = static_cast<std::uint8_t>(tokens_);
    return token;
  }
  /// Acquires locks "/first/from" up to, not including, "/first/to"; together if there are not too
  /// many.
  core::Token take(std::string_view first, int from, int to, const std::string& meta = "") {
    core::AcquireCommand command;
    command.token = fresh_token();
    command.fresh_token = *command.token;
    command.owner = std::string{first};
    command.meta = meta;
    for (int i = from; i < to; ++i) {
      command.wanted.push_back({path(first, std::to_string(i)), {}});
      if (i + 1 != to && command.wanted.size() < 256) continue;
      EXPECT_EQ(arbiter_.acquire(command, now_).outcome, core::Outcome::granted);
      command.wanted.clear();
    }
    return *command.token;
  }
  void release(const core::Token& token) { static_cast<void>(arbiter_.release_all(token, now_)); }

  /// Returns the second segments.
  static Names names_of(const std::vector<core::LockInfo>& locks) {
    Names names;
    for (const core::LockInfo& info : locks) {
      const auto first_bytes = static_cast<unsigned char>(info.packed_path.front());
      names.push_back(info.packed_path.substr(first_bytes + 2U));
    }
    return names;
  }
  static Names numbers(int from, int to) {
    Names names;
    for (int i = from; i < to; ++i) names.push_back(std::to_string(i));
    return names;
  }
  /// Returns what this page and all following ones list. Adds the number of pages to `pages`.
  Names list_all(LockPages::Query query, int* pages = nullptr) {
    Names all;
    do {
      const LockPages::Page page = pages_.list(query);
      EXPECT_LE(page.locks.size(), query.limit);
      const Names names = names_of(page.locks);
      all.insert(all.end(), names.begin(), names.end());
      query.after = page.next;
      if (pages != nullptr) ++*pages;
    } while (query.after);
    return all;
  }

  core::Now now_{core::Instant{std::chrono::seconds{1}}, 1'000'000};
  core::Arbiter arbiter_{1, core::Arbiter::Limits{}};
  LockPages pages_{arbiter_};

 private:
  void on_record(const core::Record&) override {}
  void on_event(const core::Event&) override {}
  void on_decided(core::WaiterId, core::Acquired&&) override {}
  [[nodiscard]] core::Room room_for(std::size_t, bool) const override { return core::Room::enough; }

  unsigned tokens_ = 0;
};

TEST_F(LockPagesTest, EachPageBeginsWhereTheLastOneEnded) {
  take("a", 0, 25);
  take("b", 0, 25);
  LockPages::Query query;
  query.packed_prefix = prefix("a");
  query.limit = 10;
  const auto first = pages_.list(query);
  EXPECT_EQ(names_of(first.locks), numbers(0, 10));
  query.after = first.next;
  const auto second = pages_.list(query);
  EXPECT_EQ(names_of(second.locks), numbers(10, 20));
  EXPECT_EQ(names_of(pages_.list(query).locks), numbers(10, 20));  // the same page again
  query.after = second.next;
  const auto last = pages_.list(query);
  EXPECT_EQ(names_of(last.locks), numbers(20, 25));
  EXPECT_FALSE(last.next);
}

TEST_F(LockPagesTest, WhatIsThereAllTheTimeIsListedOnceWhateverComesAndGoes) {
  std::vector<core::Token> tokens;
  for (int i = 0; i < 30; ++i) tokens.push_back(take("a", i, i + 1));
  LockPages::Query query;
  query.limit = 10;
  query.after = pages_.list(query).next;
  for (const int gone : {0, 9, 10, 15, 29}) release(tokens[static_cast<std::size_t>(gone)]);
  take("a", 9, 10);  // acquired again, so it is now a later one
  take("a", 30, 31);
  Names expected = numbers(11, 29);
  std::erase(expected, "15");
  expected.insert(expected.end(), {"9", "30"});
  EXPECT_EQ(list_all(query), expected);
}

TEST_F(LockPagesTest, MoreListsThanHavePlacesRememberedAreRightAllTheSame) {
  take("a", 0, 30);
  std::vector<LockPages::Query> queries(2 * LockPages::bookmarks_max);
  std::vector<Names> listed(queries.size());
  for (int page = 0; page < 3; ++page) {
    for (std::size_t i = 0; i < queries.size(); ++i) {
      queries[i].limit = 10 - i % 2;
      const auto found = pages_.list(queries[i]);
      const Names names = names_of(found.locks);
      listed[i].insert(listed[i].end(), names.begin(), names.end());
      queries[i].after = found.next;
    }
  }
  for (std::size_t i = 0; i < queries.size(); ++i) {
    EXPECT_EQ(listed[i], numbers(0, i % 2 == 0 ? 30 : 27));
  }
}

TEST_F(LockPagesTest, OwnerAndStateAreLookedFor) {
  take("a", 0, 3);
  core::AcquireCommand command;
  command.token = fresh_token();
  command.fresh_token = *command.token;
  command.owner = "other";
  command.lock_delay = core::Milliseconds{60'000};
  command.wanted.push_back({path("b", "cools"), {}});
  ASSERT_EQ(arbiter_.acquire(command, now_).outcome, core::Outcome::granted);
  LockPages::Query query;
  query.owner = "other";
  EXPECT_EQ(list_all(query), Names{"cools"});
  query.owner = "a";
  EXPECT_EQ(list_all(query), numbers(0, 3));
  query = {};
  query.state = core::LockInfo::State::cooling;
  EXPECT_EQ(list_all(query), Names{});
  core::ForceFilter filter;
  filter.owner = "other";
  ASSERT_EQ(arbiter_.force(filter, "x", now_).count, 1U);
  EXPECT_EQ(list_all(query), Names{"cools"});
}

TEST_F(LockPagesTest, LongTextsMakeShortPages) {
  take("a", 0, 256, std::string(4'000, 'm'));
  LockPages::Query query;
  query.limit = 1'000;
  int pages = 0;
  EXPECT_EQ(list_all(query, &pages), numbers(0, 256));
  EXPECT_EQ(pages, 3);
}

TEST_F(LockPagesTest, APlaceFarAwayThatNobodyRemembersIsReachedInSeveralPages) {
  for (int i = 0; i < 150; ++i) take(std::to_string(i), 0, 1'000);
  LockPages::Query query;
  query.after = arbiter_.table().last_id();
  take("behind", 0, 5);
  const auto first = pages_.list(query);
  EXPECT_TRUE(first.locks.empty());
  ASSERT_EQ(first.next, query.after);
  const auto second = pages_.list(query);
  EXPECT_EQ(names_of(second.locks), numbers(0, 5));
  EXPECT_FALSE(second.next);
}

TEST_F(LockPagesTest, WhatALeaseHoldsIsListedInPages) {
  const core::Token token = take("a", 0, 1'500);
  take("b", 0, 10);
  const auto lease = arbiter_.table().find_lease_of(token);
  ASSERT_TRUE(lease);
  const auto first = pages_.list_lease(*lease, {});
  EXPECT_EQ(names_of(first.locks), numbers(0, 1'000));
  ASSERT_TRUE(first.next);
  const auto second = pages_.list_lease(*lease, first.next);
  EXPECT_EQ(names_of(second.locks), numbers(1'000, 1'500));
  EXPECT_FALSE(second.next);
}

TEST_F(LockPagesTest, PagesOfALeaseDoNotWalkOverThoseBefore) {
  constexpr int count = 20'000;
  const core::Token lists[] = {take("a", 0, count), take("b", 0, count)};
  std::optional<core::LockId> after[2];
  Names listed[2];
  do {  // in turn, while others come and go
    for (std::size_t i = 0; i < 2; ++i) {
      release(take("c", 0, 2));
      const auto page = pages_.list_lease(*arbiter_.table().find_lease_of(lists[i]), after[i]);
      const Names names = names_of(page.locks);
      listed[i].insert(listed[i].end(), names.begin(), names.end());
      after[i] = page.next;
    }
  } while (after[0]);
  EXPECT_EQ(listed[0], numbers(0, count));
  EXPECT_EQ(listed[1], numbers(0, count));
  EXPECT_LT(arbiter_.table().search_steps(), 1'000U);
}

TEST_F(LockPagesTest, APageThatIsAskedForAgainAndAgainDoesNotTakeThePlacesOfOthers) {
  const core::Token other = take("a", 0, 8'000);
  const core::Token polled = take("b", 0, 3'000);
  const auto list = [&](const core::Token& token, std::optional<core::LockId> after) {
    return pages_.list_lease(*arbiter_.table().find_lease_of(token), after);
  };
  std::optional<core::LockId> after;
  for (int page = 0; page < 4; ++page) after = list(other, after).next;
  const auto behind_first = list(polled, {}).next;
  for (int i = 0; i < 100; ++i) static_cast<void>(list(polled, behind_first));
  EXPECT_EQ(names_of(list(other, after).locks), numbers(4'000, 5'000));
  EXPECT_LT(arbiter_.table().search_steps(), 1'000U);
}

TEST_F(LockPagesTest, APageOfALeaseBeginsBehindALockThatHasEnded) {
  const core::Token token = take("a", 0, 3'000);
  const auto first = pages_.list_lease(*arbiter_.table().find_lease_of(token), {});
  static_cast<void>(arbiter_.release(token, core::PathView{path("a", "999")}, now_));
  const auto second = pages_.list_lease(*arbiter_.table().find_lease_of(token), first.next);
  EXPECT_EQ(names_of(second.locks), numbers(1'000, 2'000));
}

TEST_F(LockPagesTest, APageOfThoseWhoWaitLooksAtALimitedNumberOfTheirPaths) {
  take("a", 0, 256);
  core::AcquireCommand command;
  for (int i = 0; i < 256; ++i) command.wanted.push_back({path("a", std::to_string(i)), {}});
  command.wait = std::chrono::hours{1};
  constexpr std::size_t waiters = 100;
  for (std::size_t i = 0; i < waiters; ++i) {
    command.fresh_token = fresh_token();
    ASSERT_EQ(arbiter_.acquire(command, now_).outcome, core::Outcome::queued);
  }

  LockPages::Query query;
  query.state = core::LockInfo::State::waiting;
  query.packed_prefix = command.wanted.back().packed_path;
  std::size_t found = 0;
  std::size_t pages = 0;
  do {
    const auto page = pages_.list(query);
    EXPECT_LE(page.locks.size(), 40U);
    found += page.locks.size();
    query.after = page.next;
    ++pages;
  } while (query.after);
  EXPECT_EQ(found, waiters);
  EXPECT_EQ(pages, 3U);
}

}  // namespace
}  // namespace locker::server
