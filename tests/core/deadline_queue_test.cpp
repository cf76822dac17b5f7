#include "core/deadline_queue.hpp"

#include <gtest/gtest.h>

#include <map>
#include <random>

namespace locker::core {
namespace {

using std::chrono::milliseconds;

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
    const auto next = queue.next();
    while (const auto due = queue.take_due(now)) {
      ASSERT_TRUE(next && *next <= now);
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
