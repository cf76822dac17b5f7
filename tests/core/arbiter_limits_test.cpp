// The memory and the time that a few requests may cost.
#include <gtest/gtest.h>

#include <cstring>
#include <memory_resource>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "core/arbiter.hpp"
#include "core/url_path.hpp"

namespace locker::core {
namespace {

class ArbiterLimitsTest : public testing::Test, private Arbiter::Host {
 protected:
  void start(const Arbiter::Limits& limits = {}) {
    arbiter_ = std::make_unique<Arbiter>(1, limits);
    arbiter_->start(*this, 1);
  }

  static Token token_of(unsigned number) {
    Token token;
    token.bytes[0] = static_cast<std::uint8_t>(number);
    token.bytes[1] = static_cast<std::uint8_t>(number >> 8U);
    token.bytes[2] = static_cast<std::uint8_t>(number >> 16U);
    token.bytes[15] = 1;
    return token;
  }
  static std::string packed(const std::string& text) {
    Path path;
    EXPECT_FALSE(parse_url_path(text, path));
    return std::string{path.view().packed()};
  }
  static std::vector<std::string> below(const std::string& parent, unsigned count) {
    std::vector<std::string> paths;
    for (unsigned i = 0; i < count; ++i) paths.push_back(parent + "/" + std::to_string(i));
    return paths;
  }
  Acquired acquire(const Token& token, const std::vector<std::string>& paths, bool waits = false,
                   const Shape& shape = {}) {
    AcquireCommand command;
    for (const std::string& path : paths) command.wanted.push_back({packed(path), shape});
    command.token = token;
    if (waits) command.wait = std::chrono::hours{1};
    return arbiter_->acquire(command, now());
  }
  /// Returns the outcome of the request that waits for the released lock.
  std::optional<Outcome> release_and_decide(const Token& token, const std::string& path) {
    decided_.reset();
    EXPECT_EQ(arbiter_->release(token, PathView{packed(path)}, now()).outcome,
              ReleaseOutcome::released);
    while (arbiter_->advance(now(), 1000)) {
    }
    return decided_;
  }
  [[nodiscard]] Now now() const { return {instant_, 1}; }

  Instant instant_{Duration{1}};
  std::unique_ptr<Arbiter> arbiter_;

 private:
  void on_record(const Record&) override {}
  void on_event(const Event&) override {}
  void on_decided(WaiterId, Acquired&& acquired) override { decided_ = acquired.outcome; }
  Room room_for(std::size_t, bool) const override { return Room::enough; }

  std::optional<Outcome> decided_;
};

TEST_F(ArbiterLimitsTest, WhoWaitsForManyLongPathsIsRefusedWhenTheyTakeTooMuchMemoryTogether) {
  Arbiter::Limits limits;
  limits.waiting_bytes_max = 1'000'000;
  start(limits);
  ASSERT_EQ(acquire(token_of(1), {"/"}).outcome, Outcome::granted);
  std::string deep;
  for (int i = 0; i < 50; ++i) deep += "/" + std::string(30, 'd');
  ASSERT_EQ(acquire(token_of(2), below(deep, 10), true).outcome, Outcome::queued);
  const Acquired waiting = acquire(token_of(3), below(deep + "/x", 8), true);
  ASSERT_EQ(waiting.outcome, Outcome::queued);
  EXPECT_EQ(acquire(token_of(4), below(deep + "/y", 8), true).outcome, Outcome::too_many_waiters);
  EXPECT_EQ(acquire(token_of(5), {"/short"}, true).outcome, Outcome::queued);

  // A kept place takes memory, too; a client that comes back for it is not refused.
  EXPECT_TRUE(arbiter_->abandon(waiting.waiter, now()));
  EXPECT_EQ(acquire(token_of(4), below(deep + "/y", 8), true).outcome, Outcome::too_many_waiters);
  EXPECT_EQ(acquire(token_of(3), below(deep + "/x", 8), true).outcome, Outcome::queued);
  ASSERT_EQ(arbiter_->release(token_of(1), PathView{packed("/")}, now()).outcome,
            ReleaseOutcome::released);
  while (arbiter_->advance(now(), 1000)) {
  }
  EXPECT_EQ(arbiter_->waiter_count(), 0U);
  EXPECT_EQ(acquire(token_of(4), below(deep, 8), true).outcome, Outcome::queued);
}

TEST_F(ArbiterLimitsTest, WhoIsGrantedGivesBackItsOwnMemoryAndNotThatOfOthers) {
  Arbiter::Limits limits;
  limits.waiting_bytes_max = 1'000'000;
  start(limits);
  ASSERT_EQ(acquire(token_of(1), {"/a"}).outcome, Outcome::granted);
  ASSERT_EQ(acquire(token_of(2), {"/b"}).outcome, Outcome::granted);
  std::string deep;
  for (int i = 0; i < 50; ++i) deep += "/" + std::string(30, 'd');
  ASSERT_EQ(acquire(token_of(3), below("/a" + deep, 8), true).outcome, Outcome::queued);
  ASSERT_EQ(acquire(token_of(4), below("/b" + deep, 10), true).outcome, Outcome::queued);
  ASSERT_EQ(arbiter_->release(token_of(1), PathView{packed("/a")}, now()).outcome,
            ReleaseOutcome::released);
  while (arbiter_->advance(now(), 1000)) {
  }
  ASSERT_EQ(arbiter_->waiter_count(), 1U);
  EXPECT_EQ(acquire(token_of(5), below("/b" + deep, 10), true).outcome, Outcome::too_many_waiters);
  EXPECT_EQ(acquire(token_of(5), below("/b" + deep, 8), true).outcome, Outcome::queued);
}

TEST_F(ArbiterLimitsTest, AChangeOfModeNeedsNoRoomForAnotherLock) {
  Arbiter::Limits limits;
  limits.locks_max = limits.locks_of_lease_max = 1;
  start(limits);
  AcquireCommand command;
  command.wanted.push_back({packed("/a"), Shape{Mode::shared, true, true}});
  command.token = token_of(1);
  ASSERT_EQ(arbiter_->acquire(command, now()).outcome, Outcome::granted);
  EXPECT_EQ(acquire(token_of(1), {"/a"}).outcome, Outcome::granted);
  EXPECT_EQ(arbiter_->acquire(command, now()).outcome, Outcome::granted);
  EXPECT_EQ(acquire(token_of(1), {"/b"}).outcome, Outcome::too_many_locks);
}

TEST_F(ArbiterLimitsTest, AtTheLimitsWhoWaitsStandsInLineUntilItsGrantWouldExceedOne) {
  Arbiter::Limits limits;
  limits.locks_max = limits.leases_max = 2;
  start(limits);
  ASSERT_EQ(acquire(token_of(1), {"/a"}).outcome, Outcome::granted);
  ASSERT_EQ(acquire(token_of(2), {"/b"}).outcome, Outcome::granted);
  EXPECT_EQ(acquire(token_of(3), {"/c"}, true).outcome, Outcome::too_many_locks);
  EXPECT_EQ(acquire(token_of(3), {"/a"}, true).outcome, Outcome::queued);
  EXPECT_EQ(acquire(token_of(4), {"/b", "/c"}, true).outcome, Outcome::queued);
  EXPECT_EQ(release_and_decide(token_of(1), "/a"), Outcome::granted);
  EXPECT_EQ(release_and_decide(token_of(2), "/b"), Outcome::too_many_locks);
  EXPECT_EQ(arbiter_->table().lock_count(), 1U);
}

TEST_F(ArbiterLimitsTest, WhatWouldTakeMoreMemoryThanThereMayBeIsRefusedAndTheRestGoesOn) {
  Arbiter::Limits limits;
  start(limits);
  limits.memory_max = arbiter_->memory_bytes() + 32'000'000;
  start(limits);
  const auto path_of = [](unsigned number) { return "/a/" + std::to_string(number); };
  unsigned count = 0;
  const auto fill = [&] {
    for (count = 0;; ++count) {
      const Acquired acquired = acquire(token_of(count), {path_of(count)});
      EXPECT_LE(arbiter_->memory_bytes(), limits.memory_max);
      if (acquired.outcome == Outcome::granted) continue;
      EXPECT_EQ(acquired.outcome, Outcome::too_much_memory);
      return;
    }
  };
  fill();
  EXPECT_GT(count, 100'000U);
  EXPECT_LT(count, 250'000U);
  const unsigned most = count;
  const Token fresh = token_of(most + 1);
  EXPECT_EQ(acquire(fresh, {path_of(0)}, true).outcome, Outcome::too_much_memory);
  LeaseOutcome opened{};
  unsigned leases = 0;  // there is room for less than a lock
  do {
    const Token token = token_of(most + 2 + leases++);
    opened = arbiter_->open_lease(token, token, {}, {}, now()).outcome;
  } while (opened == LeaseOutcome::opened);
  EXPECT_EQ(opened, LeaseOutcome::too_much_memory);
  EXPECT_LT(leases, 50U);
  EXPECT_EQ(
      arbiter_->acquire_legacy(PathView{packed("/new")}, {}, "o", fresh, Milliseconds{0}, now())
          .outcome,
      Outcome::too_much_memory);

  EXPECT_EQ(acquire(token_of(1), {path_of(1)}).outcome, Outcome::held_already);
  EXPECT_EQ(arbiter_->renew(token_of(1), Milliseconds{60'000}, now()).outcome,
            LeaseOutcome::living);
  ForceFilter filter;
  filter.packed_path = packed(path_of(2));
  EXPECT_EQ(arbiter_->force(filter, "in the way", now()).count, 1U);
  for (unsigned number = 0; number < most + 2 + leases; ++number) {
    static_cast<void>(arbiter_->release_all(token_of(number), now()));
  }
  EXPECT_EQ(arbiter_->table().lock_count(), 0U);
  // The memory of their ends takes its share.
  instant_ += std::chrono::hours{1};
  fill();
  EXPECT_GT(count, most / 4);
}

TEST_F(ArbiterLimitsTest, WhoWaitsIsGrantedWhateverMemoryThereIsBecauseItGivesSomeBack) {
  Arbiter::Limits limits;
  start(limits);
  limits.memory_max = arbiter_->memory_bytes() + 100'000;
  start(limits);
  ASSERT_EQ(acquire(token_of(1), {"/held"}).outcome, Outcome::granted);
  ASSERT_EQ(acquire(token_of(2), {"/held"}, true).outcome, Outcome::queued);
  unsigned count = 3;
  while (acquire(token_of(count), {"/" + std::to_string(count)}).outcome == Outcome::granted) {
    ++count;
  }
  ASSERT_EQ(arbiter_->release_all(token_of(1), now()).outcome, ReleaseOutcome::released);
  while (arbiter_->advance(now(), 1000)) {
  }
  EXPECT_EQ(arbiter_->waiter_count(), 0U);
  EXPECT_TRUE(arbiter_->table().held_by(token_of(2), PathView{packed("/held")}));
}

/// Counts the chunks that were allocated.
class CountedChunks final : public std::pmr::memory_resource {
 public:
  [[nodiscard]] std::size_t bytes() const { return bytes_; }

 private:
  void* do_allocate(std::size_t bytes, std::size_t alignment) override {
    bytes_ += bytes;
    return std::pmr::get_default_resource()->allocate(bytes, alignment);
  }
  void do_deallocate(void* chunk, std::size_t bytes, std::size_t alignment) override {
    std::pmr::get_default_resource()->deallocate(chunk, bytes, alignment);
  }
  [[nodiscard]] bool do_is_equal(const memory_resource& other) const noexcept override {
    return this == &other;
  }
  std::size_t bytes_ = 0;
};

TEST_F(ArbiterLimitsTest, TheMemoryThatCountsIsThatWhichIsTaken) {
  for (const std::size_t meta_size : {std::size_t{0}, std::size_t{1'000}}) {
    CountedChunks chunks;
    LockTable table{1, &chunks};
    const std::string meta(meta_size, 'm');
    const unsigned count = 40'000;
    const auto id_of = [](unsigned number) { return LockId{number + 1, 0}; };
    for (unsigned number = 0; number < count; ++number) {
      const std::string path = packed("/a folder with a long name/" + std::to_string(number));
      table.apply(Granted{token_of(number),
                          id_of(number),
                          {},
                          "somebody",
                          PathView{path},
                          Milliseconds{60'000},
                          {},
                          meta,
                          false});
    }
    const std::size_t full = table.memory_bytes();
    EXPECT_LT(full, chunks.bytes());
    // At most three chunks are partly used.
    EXPECT_GT(full + 3 * MemoryChunks::chunk_bytes, chunks.bytes());
    for (unsigned number = 0; number < count; ++number) {
      table.apply(Ended{token_of(number), id_of(number), End::released});
    }
    EXPECT_LT(table.memory_bytes(), full / 2);
  }
}

TEST(EndedMemory, ItsMemoryGrowsWithTheWordsAndNoFurtherThanItsCapacity) {
  EndedMemory memory{1};
  const auto end = [&](std::uint32_t number, const std::string& why) {
    Token token;
    std::memcpy(token.bytes.data(), &number, sizeof number);
    memory.remember_lease(token, {End::forced, number + 1, why}, Instant{Duration{1}});
  };
  for (std::uint32_t i = 0; i < EndedMemory::capacity; ++i) end(i, "");
  const std::size_t without_words = memory.memory_bytes();
  for (std::uint32_t i = 0; i < 1'000; ++i) end(i, std::string(100, 'w') + std::to_string(i));
  EXPECT_GT(memory.memory_bytes(), without_words + 100'000);
  EXPECT_LT(memory.memory_bytes(), without_words + 400'000);
  for (std::uint32_t i = 0; i < EndedMemory::capacity; ++i) end(i, "");
  EXPECT_LT(memory.memory_bytes(), without_words + without_words / 4);
  EXPECT_LT(without_words, std::size_t{20} << 20U);
}

TEST(EndedMemory, TheWordsOfAForceAreKeptOnceAndAsLongAsOneOfItsLocksIs) {
  EndedMemory memory{1};
  const auto token_of = [](std::uint32_t number) {
    Token token;
    std::memcpy(token.bytes.data(), &number, sizeof number);
    return token;
  };
  const auto end = [&](std::uint32_t number, const std::string& why) {
    memory.remember_lease(token_of(number), {End::forced, number + 1, why}, Instant{Duration{1}});
  };
  const auto detail_of = [&](std::uint32_t number) {
    const auto ended = memory.find_lease(token_of(number), Instant{Duration{2}});
    return ended ? ended->detail : "unknown";
  };
  const std::string why(255, 'w');
  for (std::uint32_t i = 0; i < EndedMemory::capacity; ++i) end(i, "");
  const std::size_t without_words = memory.memory_bytes();
  for (std::uint32_t i = 0; i < EndedMemory::capacity; ++i) end(i, i % 2 == 0 ? why : "other");
  EXPECT_LT(memory.memory_bytes(), without_words + 1'000);
  EXPECT_EQ(detail_of(0), why);
  EXPECT_EQ(detail_of(EndedMemory::capacity - 1), "other");
  for (std::uint32_t i = 1; i < EndedMemory::capacity; ++i) memory.forget_lease(token_of(i));
  EXPECT_EQ(detail_of(0), why);
  EXPECT_EQ(detail_of(1), "unknown");
  end(0, "last");
  EXPECT_EQ(detail_of(0), "last");
  memory.forget_lease(token_of(0));
  EXPECT_EQ(memory.memory_bytes(), without_words);
}

TEST_F(ArbiterLimitsTest, AForceOfEverythingMakesRoomWhateverItsReasonIs) {
  Arbiter::Limits limits;
  limits.memory_max = std::size_t{32} << 20U;
  start(limits);
  unsigned count = 0;
  while (acquire(token_of(count), {"/a/" + std::to_string(count)}).outcome == Outcome::granted) {
    ++count;
  }
  EXPECT_GT(count, 50'000U);
  ForceFilter filter;
  filter.packed_prefix = "";
  ASSERT_EQ(arbiter_->force(filter, std::string(255, 'w'), now()).count, count);
  EXPECT_EQ(acquire(token_of(count), {"/b"}).outcome, Outcome::granted);
}

TEST_F(ArbiterLimitsTest, OpenedLeasesCount) {
  start();
  const std::size_t before = arbiter_->memory_bytes();
  constexpr unsigned leases = 10'000;
  for (unsigned number = 0; number < leases; ++number) {
    const Token token = token_of(number);
    ASSERT_EQ(arbiter_->open_lease(token, token, {}, {}, now()).outcome, LeaseOutcome::opened);
  }
  // malloc takes 118 bytes for each.
  EXPECT_GT(arbiter_->memory_bytes(), before + leases * std::size_t{118});
}

// However many waiters there are.
TEST(WaitQueue, WhoWantsTheSameIsNotLookedForBehindThoseWhoAlsoWantOthers) {
  WaitQueue queue{1};
  Waiter one;
  one.ticket = 1;
  one.wanted = {{"\1a", {}}};
  Waiter two;
  two.ticket = 2;
  two.wanted = {{"\1a", {}}, {"\1b", {}}};
  queue.insert(one);
  EXPECT_EQ(queue.latest_equal(PathView{"\1a"}, {}, 3), &one);
  queue.insert(two);
  EXPECT_EQ(queue.latest_equal(PathView{"\1a"}, {}, 3), nullptr);
  EXPECT_EQ(queue.latest_equal(PathView{"\1a"}, {}, 2), &one);
}

TEST_F(ArbiterLimitsTest, LocksThatWereWaitedForCount) {
  start();
  constexpr unsigned locks = 250;
  ASSERT_EQ(acquire(token_of(1), below("/a", locks)).outcome, Outcome::granted);
  AcquireCommand command;  // its place is not kept
  command.wait = std::chrono::hours{1};
  const std::size_t before = arbiter_->memory_bytes();
  for (const std::string& path : below("/a", locks)) {
    command.wanted = {{packed(path), {}}};
    ASSERT_TRUE(arbiter_->abandon(arbiter_->acquire(command, now()).waiter, now()));
  }
  EXPECT_EQ(arbiter_->waiter_count(), 0U);
  // malloc takes 128 bytes for each, until the lock ends.
  EXPECT_GT(arbiter_->memory_bytes(), before + locks * std::size_t{128});
  ASSERT_EQ(arbiter_->release_all(token_of(1), now()).count, locks);
  EXPECT_LT(arbiter_->memory_bytes(), before);
}

TEST(EndedMemory, WhatEndsAgainIsAmongTheLatest) {
  EndedMemory memory{1};
  Path path;
  ASSERT_EQ(path.push_back("a"), Path::Push::ok);
  const auto end = [&](std::uint32_t number) {
    Token token;
    std::memcpy(token.bytes.data(), &number, sizeof number);
    memory.remember_lock(token, path, {End::released, number + 1, ""}, Instant{Duration{1}});
    return token;
  };
  const Token again = end(0);
  for (std::uint32_t i = 1; i < EndedMemory::capacity; ++i) end(i);
  end(0);
  end(EndedMemory::capacity);
  EXPECT_TRUE(memory.find_lock(again, path, Instant{Duration{2}}));
}

// Skipping every lock of the lease, for every path of every waiter, would take an hour here, which
// exceeds the test's time limit.
TEST_F(ArbiterLimitsTest, ALeaseWithManyLocksAmongManyWaitersIsNotLookedThroughForEachOfThem) {
  start();
  for (unsigned i = 0; i < 200; ++i) {
    const std::string parent = "/mine/" + std::to_string(i);
    ASSERT_EQ(acquire(token_of(1), below(parent, 250)).outcome, Outcome::granted);
  }
  ASSERT_EQ(acquire(token_of(2), {"/theirs"}).outcome, Outcome::granted);
  for (unsigned i = 0; i < 100; ++i) {
    ASSERT_EQ(acquire(token_of(10 + i), below("/theirs", 250), true).outcome, Outcome::queued);
  }
  EXPECT_EQ(acquire(token_of(1), below("/theirs", 250)).outcome, Outcome::blocked);
  ASSERT_EQ(arbiter_->release(token_of(2), PathView{packed("/theirs")}, now()).outcome,
            ReleaseOutcome::released);
  EXPECT_EQ(acquire(token_of(1), below("/theirs", 250)).outcome, Outcome::blocked);
  EXPECT_EQ(acquire(token_of(1), below("/free", 250)).outcome, Outcome::granted);
}

// Counting them for every renewal, and for every lock that the lease gets, would take too long,
// too.
TEST_F(ArbiterLimitsTest, TheLocksOfALeaseWithManyAreNotCountedAgainAndAgain) {
  Arbiter::Limits limits;
  start(limits);
  for (unsigned i = 0; i < 399; ++i) {
    const std::string parent = "/mine/" + std::to_string(i);
    ASSERT_EQ(acquire(token_of(1), below(parent, 250)).outcome, Outcome::granted);
  }
  for (unsigned i = 0; i < 1'000'000; ++i) {
    ASSERT_EQ(arbiter_->renew(token_of(1), {}, now()).locks, 99'750U);
  }
  for (unsigned i = 0; i < 250; ++i) {
    ASSERT_EQ(acquire(token_of(1), {"/more/" + std::to_string(i)}).outcome, Outcome::granted);
  }
  EXPECT_EQ(acquire(token_of(1), {"/most"}).outcome, Outcome::too_many_locks_of_lease);
  ASSERT_EQ(arbiter_->release(token_of(1), PathView{packed("/more/7")}, now()).outcome,
            ReleaseOutcome::released);
  EXPECT_EQ(acquire(token_of(1), {"/most"}).outcome, Outcome::granted);
  EXPECT_EQ(arbiter_->release_all(token_of(1), now()).count, limits.locks_of_lease_max);
  EXPECT_EQ(acquire(token_of(1), {"/one"}).outcome, Outcome::granted);
  EXPECT_EQ(arbiter_->renew(token_of(1), {}, now()).locks, 1U);
}

// So would a deadlock search that looks at all holders for each of the waiters.
TEST_F(ArbiterLimitsTest, ADeadlockAmongManyWhoHoldSomethingIsFoundWithoutAskingAllOfAll) {
  constexpr unsigned count = 100'000;
  start();
  ASSERT_EQ(acquire(token_of(1), {"/popular"}).outcome, Outcome::granted);
  for (unsigned i = 0; i < count; ++i) {
    ASSERT_EQ(acquire(token_of(10 + i), {"/held/" + std::to_string(i)}).outcome, Outcome::granted);
  }
  for (unsigned i = 0; i < count; ++i) {
    ASSERT_EQ(acquire(token_of(10 + i), {"/popular"}, true).outcome, Outcome::queued);
  }
  ASSERT_EQ(acquire(token_of(2), {"/own"}).outcome, Outcome::granted);
  ASSERT_EQ(acquire(token_of(3), {"/own"}, true).outcome, Outcome::queued);
  const Acquired behind = acquire(token_of(2), {"/popular"}, true);
  ASSERT_EQ(behind.outcome, Outcome::queued);
  EXPECT_EQ(acquire(token_of(1), {"/own"}, true).outcome, Outcome::deadlock);
}

// So would a search that checks each of the readers for each of the waiting writers.
TEST_F(ArbiterLimitsTest, ManyWhoWaitForTheSameHoldersAreNotAskedForEachOfThem) {
  constexpr unsigned count = 20'000;
  start();
  const Shape shared{Mode::shared, true, true};
  for (unsigned i = 0; i < count; ++i) {
    const std::string own = "/writers/" + std::to_string(i);
    ASSERT_EQ(acquire(token_of(10 + i), {"/popular"}, false, shared).outcome, Outcome::granted);
    ASSERT_EQ(acquire(token_of(100'000 + i), {own}).outcome, Outcome::granted);
  }
  for (unsigned i = 0; i < count; ++i) {
    ASSERT_EQ(acquire(token_of(100'000 + i), {"/popular"}, true).outcome, Outcome::queued);
  }
  for (unsigned i = 0; i < 50; ++i) {
    const std::string own = "/own/" + std::to_string(i);
    ASSERT_EQ(acquire(token_of(200'000 + 2 * i), {own}).outcome, Outcome::granted);
    ASSERT_EQ(acquire(token_of(200'001 + 2 * i), {own}, true).outcome, Outcome::queued);
    ASSERT_EQ(acquire(token_of(200'000 + 2 * i), {"/writers"}, true).outcome, Outcome::queued);
  }
  instant_ += std::chrono::seconds{1};  // the searches so far have used up all steps
  EXPECT_EQ(acquire(token_of(10), {"/writers"}, true).outcome, Outcome::deadlock);
}

// A request is met at each of its paths; without a cache, each time it would be checked for whether
// it is passed.
TEST_F(ArbiterLimitsTest, ManyWhoWaitForManyPathsEachAreNotAskedAtEachOfThem) {
  constexpr unsigned count = 400;
  start();
  ASSERT_EQ(acquire(token_of(1), {"/held"}).outcome, Outcome::granted);
  ASSERT_EQ(acquire(token_of(2), {"/held"}, true).outcome, Outcome::queued);
  ASSERT_EQ(acquire(token_of(3), {"/w"}).outcome, Outcome::granted);
  for (unsigned i = 0; i < count; ++i) {
    ASSERT_EQ(acquire(token_of(10 + i), below("/w", 256), true).outcome, Outcome::queued);
  }
  for (unsigned i = 0; i < 1'000; ++i) {
    AcquireCommand command;
    command.wanted.push_back({packed("/w"), {}});
    command.token = token_of(1);
    command.wait = Duration{1 + i};
    ASSERT_EQ(arbiter_->acquire(command, now()).outcome, Outcome::queued);
  }
}

// A reader with many other locks passes the writers that wait for it. It must not look through its
// locks for each of them.
TEST_F(ArbiterLimitsTest, AReaderWithManyLocksDoesNotLookThroughThemForEachWhoWaitsForReaders) {
  start();
  const Shape shared{Mode::shared, true, true};
  const auto read = [&](unsigned who, const char* path) {
    return acquire(token_of(who), {path}, false, shared).outcome;
  };
  for (unsigned i = 0; i < 10'000; ++i) {
    ASSERT_EQ(read(10'000 + i, "/"), Outcome::granted);
    ASSERT_EQ(acquire(token_of(1), {"/mine/" + std::to_string(i)}, false, shared).outcome,
              Outcome::granted);
  }
  ASSERT_EQ(read(1, "/"), Outcome::granted);
  for (unsigned i = 0; i < 1'000; ++i) {
    const std::string path = "/popular/" + std::to_string(i);
    ASSERT_EQ(acquire(token_of(100 + i), {path}, true).outcome, Outcome::queued);
  }
  for (unsigned i = 0; i < 1'000; ++i) {
    ASSERT_EQ(read(1, "/popular"), Outcome::granted);
    ASSERT_EQ(arbiter_->release(token_of(1), PathView{packed("/popular")}, now()).outcome,
              ReleaseOutcome::released);
  }
}

/// What a look costs whose request passes thousands, because they all wait for its lease.
class PassingTest : public ArbiterLimitsTest {
 protected:
  static constexpr unsigned waiters = 1'000;
  static constexpr std::size_t things_at_once = 256;

  /// Lease 1 holds /lib, lease 2 what is below /out, and all waiters want both /lib and /out.
  void prepare(unsigned wanted) {
    start();
    ASSERT_EQ(acquire(token_of(1), {"/lib"}).outcome, Outcome::granted);
    ASSERT_EQ(acquire(token_of(2), below("/out", wanted)).outcome, Outcome::granted);
    const Shape all_below{Mode::exclusive, false, true};
    for (unsigned i = 0; i < waiters; ++i) {
      ASSERT_EQ(acquire(token_of(10 + i), {"/lib", "/out"}, true, all_below).outcome,
                Outcome::queued);
    }
  }
  /// Lease 1 waits for these paths of lease 2.
  void wait_for(std::span<const std::string> paths) {
    AcquireCommand command;
    command.token = token_of(1);
    command.wait = std::chrono::seconds{1};
    for (const std::string& path : paths) command.wanted.push_back({packed(path), {}});
    ASSERT_EQ(arbiter_->acquire(command, now()).outcome, Outcome::queued);
  }
  int count_calls() {
    int calls = 1;
    for (; arbiter_->advance(now(), things_at_once); ++calls) {
    }
    return calls;
  }
};

TEST_F(PassingTest, ALookThatPassesManyWaitersIsManyThings) {
  const auto wanted = below("/out", 240);
  prepare(static_cast<unsigned>(wanted.size()));
  for (const std::string& path : wanted) wait_for({&path, 1});
  // The grant of one of the requests has all others looked at again.
  ASSERT_EQ(arbiter_->release(token_of(2), PathView{packed("/out/0")}, now()).outcome,
            ReleaseOutcome::released);
  EXPECT_GE(count_calls(), 4);
  instant_ += std::chrono::seconds{2};  // the waits end at the same time
  EXPECT_GE(count_calls(), 4);
}

TEST_F(PassingTest, PassingThemAgainForEachOfManyPathsIsManyThings) {
  const auto wanted = below("/out", 256);
  prepare(static_cast<unsigned>(wanted.size()));
  const std::span<const std::string> paths = wanted;
  for (std::size_t first = 0; first < paths.size(); first += 64) wait_for(paths.subspan(first, 64));
  ASSERT_EQ(arbiter_->release_all(token_of(2), now()).outcome, ReleaseOutcome::released);
  EXPECT_GE(count_calls(), 4);
  EXPECT_EQ(arbiter_->table().lock_count(), 1 + paths.size());
}

}  // namespace
}  // namespace locker::core
