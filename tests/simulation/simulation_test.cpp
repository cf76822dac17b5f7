#include <gtest/gtest.h>

#include <cstdlib>
#include <fstream>
#include <iostream>

#include "tests/simulation/simulation.hpp"

namespace locker::simulation {
namespace {

constexpr std::uint64_t seeds_each = 5'000;  // for each of two tests, so that two cores share them

std::uint64_t number_from(const char* name, std::uint64_t otherwise) {
  const char* const text = std::getenv(name);
  return text == nullptr ? otherwise : std::strtoull(text, nullptr, 10);
}

bool passes(std::uint64_t seed, Simulation::Counts& sum) {
  Simulation simulation{seed};
  const std::string failure = simulation.run();
  EXPECT_EQ(failure, "") << "seed " << seed << "; again by:  ./dev sim --seed " << seed
                         << "\nPut the seed into tests/simulation/kept_seeds.txt.";
  const Simulation::Counts& counts = simulation.counts();
  sum.grants += counts.grants;
  sum.waits += counts.waits;
  sum.crashes += counts.crashes;
  sum.power_cuts += counts.power_cuts;
  sum.lost_records += counts.lost_records;
  sum.snapshots += counts.snapshots;
  sum.put_off += counts.put_off;
  sum.without_room += counts.without_room;
  sum.backups += counts.backups;
  sum.damaged += counts.damaged;
  sum.other_ttls += counts.other_ttls;
  sum.tokens_again += counts.tokens_again;
  return failure.empty();
}

void run_seeds(std::uint64_t first, std::uint64_t count) {
  Simulation::Counts sum;
  for (std::uint64_t seed = first; seed < first + count; ++seed) {
    if (!passes(seed, sum)) return;
  }
  std::cout << count << " seeds: " << sum.grants << " grants read, " << sum.waits
            << " after waiting; " << sum.crashes << " crashes, " << sum.power_cuts
            << " power cuts, " << sum.lost_records << " records lost that nobody was told of; "
            << sum.snapshots << " snapshots; " << sum.put_off << " put off and " << sum.without_room
            << " refused for want of room; " << sum.backups << " backups; " << sum.damaged
            << " snapshots damaged; " << sum.other_ttls << " other TTLs, " << sum.tokens_again
            << " tokens used again\n";
  if (count < 1'000) return;
  // A simulation in which nothing happens proves nothing.
  EXPECT_GT(sum.grants, count);
  EXPECT_GT(sum.waits, count / 10);
  EXPECT_GT(sum.crashes, count / 10);
  EXPECT_GT(sum.power_cuts, count / 10);
  EXPECT_GT(sum.lost_records, count / 100);
  EXPECT_GT(sum.snapshots, count / 10);
  EXPECT_GT(sum.put_off, count / 100);
  EXPECT_GT(sum.without_room, count / 100);
  EXPECT_GT(sum.backups, count / 10);
  EXPECT_GT(sum.damaged, 0U);
  EXPECT_GT(sum.other_ttls, count / 10);
  EXPECT_GT(sum.tokens_again, count / 10);
}

TEST(Simulation, FirstHalf) {
  const std::uint64_t given = number_from("LOCKER_SEED", 0);
  if (given != 0) return run_seeds(given, 1);
  run_seeds(1, number_from("LOCKER_SEEDS", 2 * seeds_each) / 2);
}

TEST(Simulation, SecondHalf) {
  if (number_from("LOCKER_SEED", 0) != 0) return;
  const std::uint64_t half = number_from("LOCKER_SEEDS", 2 * seeds_each) / 2;
  run_seeds(1 + half, half);
}

TEST(Simulation, KeptSeeds) {
  std::ifstream file{LOCKER_KEPT_SEEDS};
  ASSERT_TRUE(file) << LOCKER_KEPT_SEEDS;
  Simulation::Counts sum;
  std::size_t count = 0;
  for (std::string line; std::getline(file, line);) {
    if (line.empty() || line.front() == '#') continue;
    ++count;
    if (!passes(std::strtoull(line.c_str(), nullptr, 10), sum)) return;
  }
  EXPECT_GT(count, 0U);
}

TEST(Simulation, SameSeedSameRun) {
  for (std::uint64_t seed = 1; seed <= 20; ++seed) {
    Simulation first{seed};
    Simulation second{seed};
    EXPECT_EQ(first.run(), second.run());
    EXPECT_EQ(first.trace(), second.trace()) << seed;
  }
}

}  // namespace
}  // namespace locker::simulation
