#include "server/service/disk_watch.hpp"

#include <string>
#include <vector>

#include <gtest/gtest.h>

namespace locker::server {
namespace {

using namespace std::chrono_literals;

/// Returns the warnings at look()s with these ages of the write.
std::vector<std::string> told_at(const std::vector<std::chrono::nanoseconds>& ages) {
  std::vector<std::string> told;
  DiskWatch watch{[&](std::string_view text) { told.emplace_back(text); }};
  for (const std::chrono::nanoseconds age : ages) watch.look(age);
  return told;
}

bool tells_of_a_hang(const std::string& text, const std::string& how_long) {
  return text.starts_with("the store's disk has not responded for " + how_long + ":");
}

TEST(DiskWatchTest, ASlowDiskIsNotToldOf) {
  EXPECT_TRUE(told_at({0ns, 1s, 4999ms, 0ns, 4s, 3s, 0ns}).empty());
}

TEST(DiskWatchTest, OneThatHangsIsToldOfOnceAndWhenItAnswersOnce) {
  const auto told = told_at({4s, 5100ms, 6100ms, 33'900ms, 0ns, 0ns, 1s});
  ASSERT_EQ(told.size(), 2U);
  EXPECT_TRUE(tells_of_a_hang(told[0], "5 s")) << told[0];
  EXPECT_EQ(told[1], "the store's disk has responded, after more than 33 s");
}

TEST(DiskWatchTest, SoIsTheNextOne) {
  const auto told = told_at({8s, 1ms, 9s, 6s, 7s});
  ASSERT_EQ(told.size(), 5U);
  EXPECT_TRUE(tells_of_a_hang(told[0], "8 s")) << told[0];
  EXPECT_EQ(told[1], "the store's disk has responded, after more than 8 s");
  EXPECT_TRUE(tells_of_a_hang(told[2], "9 s")) << told[2];
  EXPECT_EQ(told[3], "the store's disk has responded, after more than 9 s");
  EXPECT_TRUE(tells_of_a_hang(told[4], "6 s")) << told[4];
}

}  // namespace
}  // namespace locker::server
