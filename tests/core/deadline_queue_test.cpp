#include "core/deadline_queue.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <map>
#include <random>
#include <string>
#include <vector>

namespace locker::core {
namespace {

using std::chrono::milliseconds;

bool has_work(const DeadlineQueue& queue, Instant now) {
  const auto next = queue.next();
  return next && *next <= now;
}

TEST(DeadlineQueue, TakesEachWhenItIsDueAndNotBefore) {
  std::mt19937_64 random{5};
  DeadlineQueue queue;
  std::map<std::uint32_t, std::pair<Instant, std::uint64_t>> entries;
  std::map<std::uint64_t, Instant> deadlines;
  Instant now;
  std::uint64_t subject = 0;
  for (int step = 0; step < 20'000; ++step) {
    if (random() % 3 != 0) {
      const Instant deadline =
          now + Duration{static_cast<std::int64_t>(random() % (1ULL << (random() % 40)))};
      const auto entry = queue.add(deadline, DeadlineQueue::Kind::waiter, ++subject);
      entries[entry] = {deadline, subject};
      deadlines[subject] = deadline;
    } else if (!entries.empty() && random() % 2 == 0) {
      const auto removed = entries.begin();
      queue.remove(removed->first);
      deadlines.erase(removed->second.second);
      entries.erase(removed);
    }
    now += Duration{static_cast<std::int64_t>(random() % (1ULL << (random() % 34)))};
    while (has_work(queue, now)) {
      const auto due = queue.take_due(now);
      if (!due) continue;
      ASSERT_EQ(deadlines.count(due->subject), 1U);
      ASSERT_LE(deadlines[due->subject], now);
      deadlines.erase(due->subject);
      std::erase_if(entries, [&](const auto& each) { return each.second.second == due->subject; });
    }
    ASSERT_EQ(queue.size(), deadlines.size());
    for (const auto& [each, deadline] : deadlines) {
      ASSERT_GT(deadline + milliseconds{1}, now) << "left behind";
    }
    if (deadlines.size() > 60) {
      for (const auto& [entry, what] : entries) queue.remove(entry);
      entries.clear();
      deadlines.clear();
    }
  }
}

TEST(DeadlineQueue, NoCallMovesMoreThanAFew) {
  constexpr std::size_t count = 10'000;
  for (const milliseconds ttl :
       {milliseconds{100}, milliseconds{60'000}, milliseconds{3'000'000}}) {
    DeadlineQueue queue;
    const Instant end{ttl};
    for (std::size_t n = 0; n < count; ++n) queue.add(end, DeadlineQueue::Kind::lease, n);
    std::size_t calls = 0;
    Instant now;
    for (; now < end; now = *queue.next()) {
      ASSERT_FALSE(queue.take_due(now));
      ++calls;
    }
    EXPECT_GE(calls, count / DeadlineQueue::moved_at_once);
    // All entries have been moved as far as they go.
    for (std::size_t n = 0; n < count; ++n) ASSERT_TRUE(queue.take_due(now));
    EXPECT_EQ(queue.size(), 0U);
  }
}

// Each millisecond makes only as many calls as it takes to move a part of the entries.
TEST(DeadlineQueue, WhatIsDueDoesNotWaitForWhatMoves) {
  std::mt19937_64 random{7};
  DeadlineQueue queue;
  std::map<Instant, int> counts;  // of entries that are due then
  for (int n = 0; n < 20'000; ++n) {
    // Some are spread over the whole time, very many are in one slot of 33 s, or in one of a
    // second.
    const std::uint64_t least = n < 2'000 ? 0 : n % 2 == 0 ? 65'536 : 67'584;
    const std::uint64_t span = n < 2'000 ? 70'000 : n % 2 == 0 ? 32'768 : 1'024;
    const Instant deadline{milliseconds{least + random() % span}};
    queue.add(deadline, DeadlineQueue::Kind::lease, 0);
    ++counts[deadline];
  }
  int moving_beside = 0;
  for (Instant now{}; queue.size() > 0; now += milliseconds{1}) {
    const int due = counts[now];
    for (int n = 0; n < due; ++n)
      ASSERT_TRUE(queue.take_due(now)) << "at " << now.time_since_epoch().count();
    moving_beside += due > 0 && has_work(queue, now) ? 1 : 0;
    for (int calls = 0; calls < 2; ++calls) ASSERT_FALSE(queue.take_due(now));
  }
  EXPECT_GT(moving_beside, 100);
}

TEST(DeadlineQueue, WhatIsLateIsTakenInOrder) {
  DeadlineQueue queue;
  constexpr int moving = 100;
  for (int n = 0; n < moving; ++n) {
    queue.add(Instant{milliseconds{70}}, DeadlineQueue::Kind::lease, 1);
  }
  ASSERT_FALSE(queue.take_due(Instant{milliseconds{40}}));
  queue.add(Instant{milliseconds{50}}, DeadlineQueue::Kind::lease, 0);
  ASSERT_TRUE(queue.take_due(Instant{milliseconds{50}}));
  queue.add(Instant{milliseconds{110}}, DeadlineQueue::Kind::lease, 2);
  const Instant late{milliseconds{200}};
  std::vector<std::uint64_t> taken;
  while (has_work(queue, late)) {
    if (const auto due = queue.take_due(late)) taken.push_back(due->subject);
  }
  std::vector<std::uint64_t> expected(moving, 1);
  expected.push_back(2);
  EXPECT_EQ(taken, expected);
}

/// Compares with a list that is searched, with few calls, so that commands come while slots move.
class DeadlineQueueModelTest : public testing::TestWithParam<std::uint64_t> {
 protected:
  struct Known {
    std::uint32_t entry = 0;
    Instant deadline;  // as passed to add()
    std::uint64_t subject = 0;
  };
  static Instant rounded(const Known& known) {
    return std::chrono::ceil<milliseconds>(known.deadline);
  }
  void add(Instant deadline) {
    const auto entry = queue_.add(deadline, DeadlineQueue::Kind::cooling, ++last_subject_);
    known_.push_back({entry, deadline, last_subject_});
  }
  /// Of all sizes; with every other seed so short that only the finest levels are used.
  Duration random_duration() {
    const std::uint64_t bits = random_() % (GetParam() % 2 == 0 ? 18 : 44);
    return Duration{static_cast<std::int64_t>(random_() % (std::uint64_t{2} << bits))};
  }
  /// Adds entries that are in one list of the wheel, where the last one added is the first.
  void add_neighbours() {
    const Instant first = now_ + random_duration();
    for (std::uint64_t count = random_() % 100; count > 0; --count) {
      add(first + Duration{static_cast<std::int64_t>(random_() % 3'000)});
    }
  }
  void remove_one() {
    if (known_.empty()) return;
    const std::size_t last = known_.size() - 1;
    const std::size_t middle = random_() % known_.size();
    const std::size_t which = std::array{std::size_t{0}, middle, last}[random_() % 3];
    queue_.remove(known_[which].entry);
    known_.erase(known_.begin() + static_cast<std::ptrdiff_t>(which));
  }
  void take() {
    const auto taken = queue_.take_due(now_);
    if (!taken) return;
    ASSERT_EQ(taken->kind, DeadlineQueue::Kind::cooling);
    const auto is_it = [&](const Known& known) { return known.subject == taken->subject; };
    const auto found = std::find_if(known_.begin(), known_.end(), is_it);
    ASSERT_NE(found, known_.end());
    ASSERT_LE(rounded(*found), now_) << "too early";
    known_.erase(found);
  }
  void compare() const {
    ASSERT_EQ(queue_.size(), known_.size());
    ASSERT_EQ(queue_.next().has_value(), !known_.empty());
    for (const Known& known : known_) {
      ASSERT_EQ(queue_.deadline_of(known.entry), rounded(known));
      if (rounded(known) <= now_) {
        ASSERT_TRUE(has_work(queue_, now_)) << "left behind";
      } else {
        ASSERT_LE(*queue_.next(), rounded(known));
      }
    }
  }

  std::mt19937_64 random_{GetParam()};
  DeadlineQueue queue_;
  std::vector<Known> known_;
  Instant now_;
  std::uint64_t last_subject_ = 0;
};

TEST_P(DeadlineQueueModelTest, IsAsALookAtAllOfThem) {
  SCOPED_TRACE("seed " + std::to_string(GetParam()));
  std::size_t commands_while_moving = 0;
  for (int step = 0; step < 3'000; ++step) {
    const auto dice = random_() % 16;
    if (dice == 0 && known_.size() < 300) add_neighbours();
    if (dice < 4) add(now_ + random_duration());
    if (dice >= 4 && dice < 8) remove_one();
    if (dice == 8) now_ += random_duration();
    if (dice == 9 && queue_.next()) now_ = std::max(now_, *queue_.next());
    if (dice >= 10) take();
    commands_while_moving += dice < 8 && has_work(queue_, now_) ? 1U : 0U;
    if (HasFatalFailure()) return;
    compare();
    if (HasFatalFailure()) return;
  }
  EXPECT_GT(commands_while_moving, 100U);
}

INSTANTIATE_TEST_SUITE_P(Seeds, DeadlineQueueModelTest, testing::Range<std::uint64_t>(1, 9));

TEST(DeadlineQueue, AfterYearsNothingIsDueTooEarly) {
  DeadlineQueue queue;
  Instant now{std::chrono::hours{24 * 790}};
  while (now < Instant{std::chrono::hours{24 * 800}}) {
    ASSERT_FALSE(queue.take_due(now));
    const auto month = queue.add(now + std::chrono::hours{24 * 30}, DeadlineQueue::Kind::lease, 1);
    const Instant soon = now + milliseconds{500};
    queue.add(soon, DeadlineQueue::Kind::waiter, 2);
    ASSERT_FALSE(queue.take_due(soon - milliseconds{2}));
    ASSERT_EQ(queue.take_due(soon)->subject, 2U);
    ASSERT_FALSE(queue.take_due(soon));
    queue.remove(month);
    now += std::chrono::hours{1};
  }
}

}  // namespace
}  // namespace locker::core
