#include "persistence/append_file.hpp"

#include <gtest/gtest.h>
#include <stdlib.h>

#include <filesystem>
#include <fstream>
#include <iterator>
#include <random>
#include <string>

#include "persistence/posix_file_system.hpp"
#include "tests/support/simulated_disk.hpp"

namespace locker::persistence {
namespace {

constexpr std::size_t file_bytes = std::size_t{256} << 10U;

std::string random_text(std::mt19937_64& random, std::size_t size) {
  std::string text(size, '\0');
  for (char& each : text) each = static_cast<char>('a' + random() % 26);
  return text;
}

/// Appends pieces of all sizes from `offset` on, to the file and to its expected contents.
void append_all(File& file, std::uint64_t offset, std::string& expected, std::mt19937_64& random) {
  for (;;) {
    const std::size_t size = 1 + (random() % 4 != 0 ? random() % 300 : random() % 20'000);
    if (offset + size > file_bytes) return;
    const std::string bytes = random_text(random, size);
    ASSERT_TRUE(file.write_at(offset, bytes));
    ASSERT_TRUE(file.sync());
    expected.replace(offset, size, bytes);
    offset += size;
  }
}

class AppendFileTest : public testing::TestWithParam<std::uint64_t> {
 protected:
  std::mt19937_64 random_{GetParam()};
  std::string expected_ = std::string(file_bytes, '\0');
};

INSTANTIATE_TEST_SUITE_P(Seeds, AppendFileTest, testing::Range<std::uint64_t>(0, 10));

TEST_P(AppendFileTest, HasWhatWasAppendedAndZerosBehind) {
  test::SimulatedDisk disk;
  ASSERT_TRUE(disk.make_directory("d"));
  disk.put("d/file", expected_);
  const std::uint64_t begin = random_() % 10'000;
  for (std::uint64_t offset = begin; offset < file_bytes / 2; offset += 30'000) {
    auto opened = disk.open("d/file", Access::write);
    ASSERT_TRUE(opened);
    AppendFile file{std::move(*opened)};
    const std::string bytes = random_text(random_, 1 + random_() % 5'000);
    ASSERT_TRUE(file.write_at(offset, bytes));
    expected_.replace(offset, bytes.size(), bytes);
    ASSERT_EQ(disk.bytes("d/file"), expected_);
  }
  auto opened = disk.open("d/file", Access::write);
  ASSERT_TRUE(opened);
  AppendFile file{std::move(*opened)};
  append_all(file, file_bytes / 2 + begin, expected_, random_);
  EXPECT_EQ(disk.bytes("d/file"), expected_);
  ASSERT_TRUE(file.write_at(512, "a seal"));
  expected_.replace(512, 6, "a seal");
  EXPECT_EQ(disk.bytes("d/file"), expected_);
}

TEST_P(AppendFileTest, AlsoOnARealDisk) {
  std::string directory = testing::TempDir() + "append_file.XXXXXX";
  ASSERT_NE(::mkdtemp(directory.data()), nullptr);
  const std::string path = directory + "/file";
  std::ofstream{path} << expected_;
  PosixFileSystem files;
  auto file = files.open(path, Access::write);
  ASSERT_TRUE(file);
  ASSERT_TRUE((*file)->sync());
  AppendFile appended{std::move(*file)};
  append_all(appended, random_() % 10'000, expected_, random_);
  std::ifstream stream{path};
  EXPECT_EQ(std::string(std::istreambuf_iterator<char>{stream}, {}), expected_);
  std::filesystem::remove_all(directory);
}

}  // namespace
}  // namespace locker::persistence
