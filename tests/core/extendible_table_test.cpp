#include "core/extendible_table.hpp"

#include <gtest/gtest.h>

#include <random>
#include <unordered_map>

namespace locker::core {
namespace {

TEST(ExtendibleTable, AgreesWithAMapThroughSplitsAndErasures) {
  std::mt19937 random{42};
  ExtendibleTable table;
  std::unordered_map<std::uint32_t, std::uint32_t> hashes;  // value -> hash
  std::vector<std::uint32_t> values;
  for (std::uint32_t step = 1; step <= 200'000; ++step) {
    if (!values.empty() && random() % 3 == 0) {
      const std::size_t at = random() % values.size();
      table.erase(hashes[values[at]], values[at]);
      hashes.erase(values[at]);
      values[at] = values.back();
      values.pop_back();
    } else {
      const auto hash = static_cast<std::uint32_t>(random() & (step % 2 == 0 ? ~0U : ~0x3F0U));
      table.insert(hash, step);
      hashes[step] = hash;
      values.push_back(step);
    }
  }
  EXPECT_EQ(table.size(), hashes.size());
  for (const auto& [value, hash] : hashes) {
    EXPECT_EQ(table.find(hash, [v = value](std::uint32_t found) { return found == v; }), value);
  }
  EXPECT_EQ(table.find(12345, [](std::uint32_t) { return false; }), ExtendibleTable::none);
}

}  // namespace
}  // namespace locker::core
