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
  for (std::uint64_t seed = first; seed < first + count; ++seed) {
    SCOPED_TRACE("replay with LOCKER_SEED=" + std::to_string(seed));
    ArbiterComparison{std::mt19937_64{seed}, seed}.run(150);
    if (testing::Test::HasFatalFailure()) return;
  }
}

}  // namespace
}  // namespace locker::core
