#include "server/program/memory_limit.hpp"

#include <stdlib.h>

#include <cstdint>
#include <filesystem>
#include <fstream>
#include <string>

#include <gtest/gtest.h>

namespace locker::server {
namespace {

constexpr std::uint64_t mebibyte = std::uint64_t{1} << 20U;

/// Provides the files that the system would have.
class MemoryLimitTest : public testing::Test {
 protected:
  void SetUp() override {
    std::string name = testing::TempDir() + "memory-limit-XXXXXX";
    ASSERT_NE(::mkdtemp(name.data()), nullptr);
    root_ = name;
  }
  void TearDown() override { std::filesystem::remove_all(root_); }
  void put(const std::string& path, const std::string& text) {
    const std::filesystem::path file = root_ + path;
    std::filesystem::create_directories(file.parent_path());
    std::ofstream{file} << text << "\n";
  }
  std::string root_;
};

TEST_F(MemoryLimitTest, WithoutGroupsThereIsNone) {
  EXPECT_FALSE(read_cgroup_limit(root_));
  put("/proc/self/cgroup", "");
  EXPECT_FALSE(read_cgroup_limit(root_));
  put("/proc/self/cgroup", "0::/of/a/group/that/is/not/there\nnonsense");
  EXPECT_FALSE(read_cgroup_limit(root_));
}

TEST_F(MemoryLimitTest, TheLowestOfTheGroupAndThoseAboveItCounts) {
  put("/proc/self/cgroup", "0::/system.slice/lockerd.service");
  put("/sys/fs/cgroup/system.slice/lockerd.service/memory.max", "max");
  EXPECT_FALSE(read_cgroup_limit(root_));
  put("/sys/fs/cgroup/system.slice/memory.max", std::to_string(512 * mebibyte));
  EXPECT_EQ(read_cgroup_limit(root_), 512 * mebibyte);
  put("/sys/fs/cgroup/system.slice/lockerd.service/memory.max", std::to_string(64 * mebibyte));
  EXPECT_EQ(read_cgroup_limit(root_), 64 * mebibyte);
}

TEST_F(MemoryLimitTest, InAContainerTheGroupIsAtTheTop) {
  put("/proc/self/cgroup", "0::/");
  put("/sys/fs/cgroup/memory.max", std::to_string(2048 * mebibyte));
  EXPECT_EQ(read_cgroup_limit(root_), 2048 * mebibyte);
}

TEST_F(MemoryLimitTest, OfVersionOneTheMemoryControllerIsAsked) {
  put("/proc/self/cgroup",
      "5:cpu,cpuacct:/other\n4:cpu,memory:/docker/0123\n1:name=systemd:/docker/0123");
  put("/sys/fs/cgroup/memory/memory.limit_in_bytes", "9223372036854771712");
  EXPECT_FALSE(read_cgroup_limit(root_));
  put("/sys/fs/cgroup/memory/memory.limit_in_bytes", std::to_string(100 * mebibyte));
  EXPECT_EQ(read_cgroup_limit(root_), 100 * mebibyte);
  put("/sys/fs/cgroup/memory/docker/0123/memory.limit_in_bytes", std::to_string(80 * mebibyte));
  EXPECT_EQ(read_cgroup_limit(root_), 80 * mebibyte);
}

TEST(MemoryMax, IsAPartOfTheLimitButNotLessThanTheLeast) {
  EXPECT_EQ(memory_max_within(10'064 * mebibyte), 5'000 * mebibyte);
  EXPECT_EQ(memory_max_within(128 * mebibyte), memory_max_least);
  EXPECT_EQ(memory_max_within(16 * mebibyte), memory_max_least);
}

TEST(BufferedMax, IsAPartOfTheLimitBetweenTheLeastAndTheMost) {
  EXPECT_EQ(buffered_max_within(10'064 * mebibyte), 256 * mebibyte);
  EXPECT_EQ(buffered_max_within(464 * mebibyte), 50 * mebibyte);
  EXPECT_EQ(buffered_max_within(128 * mebibyte), 16 * mebibyte);
  EXPECT_EQ(buffered_max_within(16 * mebibyte), 16 * mebibyte);
}

TEST(BufferedMax, FitsIntoTheLimitTogetherWithWhatIsHeldAndTheRest) {
  for (std::uint64_t limit = 128 * mebibyte; limit <= 4096 * mebibyte; limit += mebibyte) {
    EXPECT_LE(buffered_max_within(limit) + memory_max_within(limit) + beside_what_is_held, limit);
  }
}

}  // namespace
}  // namespace locker::server
