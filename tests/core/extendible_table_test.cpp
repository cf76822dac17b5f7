#include "core/extendible_table.hpp"

#include <gtest/gtest.h>

#include <random>
#include <unordered_map>
#include <vector>

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
      const auto hash = static_cast<std::uint32_t>(random() & (step % 2 == 0 ? ~0U : ~0x380U));
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

/// An entry that passed a full line is found also after others have gone from that line; and the
/// search wraps from the last line to the first.
TEST(ExtendibleTable, FindsWhatPassedFullLines) {
  constexpr std::uint32_t last_line = 1023;
  constexpr std::uint32_t count = 40;  // six lines of seven
  ExtendibleTable table;
  const auto find = [&](std::uint32_t wanted) {
    return table.find(last_line, [=](std::uint32_t value) { return value == wanted; });
  };
  for (std::uint32_t value = 1; value <= count; ++value) table.insert(last_line, value);
  for (std::uint32_t value = 1; value <= count; ++value) EXPECT_EQ(find(value), value);
  for (std::uint32_t gone = 1; gone <= count; ++gone) {
    table.erase(last_line, gone);
    EXPECT_EQ(find(gone), ExtendibleTable::none);
    for (std::uint32_t value = gone + 1; value <= count; ++value) ASSERT_EQ(find(value), value);
  }
  EXPECT_EQ(table.size(), 0U);
}

/// An empty table has nothing under hash zero, although that is the hash of unused entries.
TEST(ExtendibleTable, UnusedEntriesAreNotFound) {
  ExtendibleTable table;
  EXPECT_EQ(table.peek(0), ExtendibleTable::none);
  table.insert(0, 7);
  EXPECT_EQ(table.peek(0), 7U);
  table.erase(0, 7);
  EXPECT_EQ(table.peek(0), ExtendibleTable::none);
}

/// A line that was full once must not lengthen searches for ever: after many of them no line would
/// end a search. Uses a bucket that is as full as possible, and many entries that come and go.
TEST(ExtendibleTable, SearchesStayShortWhenManyCameAndWent) {
  std::mt19937 random{43};
  ExtendibleTable table;
  std::vector<std::uint32_t> hashes(5120);
  for (std::uint32_t step = 0; step < 400'000; ++step) {
    const std::uint32_t value = 1 + step % static_cast<std::uint32_t>(hashes.size());
    std::uint32_t& hash = hashes[value - 1];
    if (step >= hashes.size()) table.erase(hash, value);
    hash = static_cast<std::uint32_t>(random());
    table.insert(hash, value);
    if (step % 400 == 0) {
      ASSERT_LE(table.longest_search(), 30U) << "after " << step << " steps";
    }
  }
  for (const std::uint32_t hash : hashes) {
    std::size_t compared = 0;  // without an effect, the compiler could remove an endless loop
    const auto is_none = [&](std::uint32_t) { return ++compared > hashes.size(); };
    EXPECT_EQ(table.find(hash, is_none), ExtendibleTable::none);
    EXPECT_EQ(compared, 1U);
  }
  EXPECT_LT(table.bytes(), 128U << 10U) << "one bucket was enough";
  for (std::uint32_t value = 1; value <= hashes.size(); ++value) {
    table.erase(hashes[value - 1], value);
  }
  EXPECT_EQ(table.size(), 0U);
  table.for_each([](std::uint32_t value) { ADD_FAILURE() << value << " is left"; });
}

}  // namespace
}  // namespace locker::core
