#include <gtest/gtest.h>

#include <cstdlib>
#include <random>

#include "tests/core/arbiter_comparison.hpp"

namespace locker::core {
namespace {

TEST(ArbiterOracle, AgreesOnRandomCommands) {
  const char* const given = std::getenv("LOCKER_SEED");
  const std::uint64_t first = given != nullptr ? std::strtoull(given, nullptr, 10) : 1;
  const char* const more = std::getenv("LOCKER_SEEDS");
  const std::uint64_t count = given != nullptr  ? 1
                              : more != nullptr ? std::strtoull(more, nullptr, 10)
                                                : 1'000;
  ArbiterComparison::Counts sum;
  for (std::uint64_t seed = first; seed < first + count; ++seed) {
    SCOPED_TRACE("replay with LOCKER_SEED=" + std::to_string(seed));
    ArbiterComparison comparison{std::mt19937_64{seed}, seed};
    comparison.run(150);
    if (testing::Test::HasFatalFailure()) return;
    sum += comparison.counts();
  }
  if (count < 1'000) return;
  // Commands without effect would prove nothing.
  EXPECT_GT(sum.finished, count - count / 20);
  EXPECT_GT(sum.restarts, count);
  EXPECT_GT(sum.answered(Outcome::granted), 5 * count);
  EXPECT_GT(sum.decided(Outcome::granted), count);
  EXPECT_GT(sum.answered(Outcome::held_already), count / 2);
  EXPECT_GT(sum.answered(Outcome::blocked), count);
  EXPECT_GT(sum.decided(Outcome::blocked), count / 2);
  EXPECT_GT(sum.answered(Outcome::deadlock), count / 10);
  EXPECT_GT(sum.decided(Outcome::deadlock), 0U);
  EXPECT_GT(sum.answered(Outcome::token_in_use), count / 2);
  EXPECT_GT(sum.answered(Outcome::lease_ended), count);
  EXPECT_GT(sum.decided(Outcome::lease_ended), count / 20);
  EXPECT_GT(sum.decided(Outcome::superseded), count / 4);
  EXPECT_GT(sum.answered(Outcome::busy), count);
  EXPECT_GT(sum.answered(Outcome::disk_full), count);
  for (const Outcome limit :
       {Outcome::too_many_locks, Outcome::too_many_leases, Outcome::too_many_waiters,
        Outcome::too_many_waiters_of_lease, Outcome::too_many_locks_of_lease}) {
    EXPECT_GT(sum.answered(limit), count / 20) << static_cast<int>(limit);
  }
  EXPECT_GT(sum.upgrades, count / 4);
  EXPECT_GT(sum.forced, count / 4);
  EXPECT_GT(sum.waits_ended, count / 20);
  EXPECT_GT(sum.leases_forced, count / 100);
  EXPECT_GT(sum.waiters_named, count);
  EXPECT_GT(sum.told(EventKind::expired), count / 2);
  EXPECT_GT(sum.told(EventKind::cooled), count / 10);
}

}  // namespace
}  // namespace locker::core
