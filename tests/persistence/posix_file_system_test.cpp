// Tests of held directories and of large blocks, on the real file system.

#include "persistence/posix_file_system.hpp"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <filesystem>
#include <fstream>
#include <set>
#include <string>

#include "persistence/aligned_bytes.hpp"

namespace {

// As if the disk required such blocks of I/O that bypasses the page cache; zero: as it is.
std::size_t block_bytes = 0;
// As if reads that bypass the page cache failed; zero: they do not.
int direct_read_error = 0;

}  // namespace

/// Takes the place of the C library's.
extern "C" ssize_t pread(int descriptor, void* bytes, size_t size, off_t offset) {
  const bool is_direct = (::fcntl(descriptor, F_GETFL) & O_DIRECT) != 0;
  if (is_direct && direct_read_error != 0) {
    errno = direct_read_error;
    return -1;
  }
  if (is_direct && block_bytes != 0 && size % block_bytes != 0) {
    errno = EINVAL;
    return -1;
  }
  return ::syscall(SYS_pread64, descriptor, bytes, size, offset);
}

namespace locker::persistence {
namespace {

namespace fs = std::filesystem;

class HeldDirectoryTest : public testing::Test {
 protected:
  HeldDirectoryTest() {
    std::string name = testing::TempDir() + "held_directory.XXXXXX";
    root_ = ::mkdtemp(name.data());
    store_ = root_ + "/store";
    other_ = root_ + "/other";
    fs::create_directory(store_);
    fs::create_directory(other_);
  }
  ~HeldDirectoryTest() override {
    fs::current_path(before_);
    fs::remove_all(root_);
  }

  static void make_file(const std::string& path) { std::ofstream{path} << "x"; }

  static std::set<std::string> names_in(const std::string& directory) {
    std::set<std::string> names;
    for (const auto& entry : fs::directory_iterator{directory}) {
      names.insert(entry.path().filename());
    }
    return names;
  }

  /// Makes each call that names a file in `directory`, which contains the file "old".
  void use(const std::string& directory) {
    EXPECT_TRUE(files_.open(directory + "/new", Access::create));
    EXPECT_TRUE(files_.open(directory + "/new", Access::write));
    EXPECT_TRUE(files_.open(directory + "/new", Access::read));
    EXPECT_TRUE(files_.rename(directory + "/new", directory + "/renamed"));
    EXPECT_TRUE(files_.remove(directory + "/old"));
    EXPECT_TRUE(files_.lock(directory + "/LOCK", Locking::create));
    EXPECT_TRUE(files_.lock(directory + "/LOCK", Locking::reader));
    EXPECT_TRUE(files_.make_directory(directory + "/made"));
    EXPECT_TRUE(files_.sync_directory(directory));
    const auto free = files_.free_space(directory);
    ASSERT_TRUE(free);
    EXPECT_GT(*free, 0U);
    const auto names = files_.list(directory);
    ASSERT_TRUE(names);
    EXPECT_EQ((std::set<std::string>{names->begin(), names->end()}), used_);
  }

  /// Returns the error of check_held_directory(); empty if there is none.
  std::string complaint() {
    const auto checked = files_.check_held_directory();
    return checked ? "" : checked.error().message;
  }

  const std::set<std::string> used_{"LOCK", "made", "renamed"};
  const fs::path before_ = fs::current_path();
  std::string root_;
  std::string store_;
  std::string other_;
  PosixFileSystem files_;
};

TEST_F(HeldDirectoryTest, WithoutOnePathsAreWhatTheyAre) {
  make_file(store_ + "/old");
  use(store_);
  EXPECT_EQ(complaint(), "");
}

TEST_F(HeldDirectoryTest, IsItselfWhateverGetsItsName) {
  make_file(store_ + "/old");
  make_file(other_ + "/old");
  make_file(other_ + "/mine");
  ASSERT_TRUE(files_.hold_directory(store_));
  EXPECT_EQ(complaint(), "");
  fs::rename(store_, root_ + "/moved");
  EXPECT_NE(complaint().find(root_ + "/moved"), std::string::npos) << complaint();
  fs::rename(other_, store_);
  EXPECT_NE(complaint().find(root_ + "/moved"), std::string::npos) << complaint();
  use(store_);
  EXPECT_EQ(names_in(root_ + "/moved"), used_);
  EXPECT_EQ(names_in(store_), (std::set<std::string>{"mine", "old"}));
}

TEST_F(HeldDirectoryTest, ItsNameIsNoPrefixOfAnother) {
  make_file(store_ + "-2");
  ASSERT_TRUE(files_.hold_directory(store_));
  EXPECT_TRUE(files_.open(store_ + "-2", Access::read));
  EXPECT_TRUE(files_.open(store_ + "/../store-2", Access::read));
  EXPECT_TRUE(files_.list(other_));
}

TEST_F(HeldDirectoryTest, ARelativePathIsGoodInEveryWorkingDirectory) {
  make_file(store_ + "/old");
  fs::current_path(root_);
  ASSERT_TRUE(files_.hold_directory("store"));
  fs::current_path("/");
  EXPECT_EQ(complaint(), "");
  use("store");
  EXPECT_EQ(names_in(store_), used_);
  fs::rename(store_, root_ + "/moved");
  EXPECT_NE(complaint().find(root_ + "/moved"), std::string::npos) << complaint();
}

TEST_F(HeldDirectoryTest, TheWorkingDirectoryItselfCanBeHeld) {
  make_file(store_ + "/old");
  fs::current_path(store_);
  ASSERT_TRUE(files_.hold_directory("."));
  fs::current_path("/");
  EXPECT_EQ(complaint(), "");
  use(".");
  EXPECT_EQ(names_in(store_), used_);
}

TEST_F(HeldDirectoryTest, ThatWasRemovedIsSaidToBeRemoved) {
  ASSERT_TRUE(files_.hold_directory(store_));
  fs::remove(store_);
  EXPECT_NE(complaint().find("removed"), std::string::npos) << complaint();
  EXPECT_FALSE(files_.open(store_ + "/new", Access::create));
  fs::create_directory(store_);
  EXPECT_NE(complaint().find("removed"), std::string::npos) << complaint();
  EXPECT_FALSE(files_.open(store_ + "/new", Access::create));
  EXPECT_EQ(names_in(store_), std::set<std::string>{});
}

TEST_F(HeldDirectoryTest, ByALinkIsMissedWhenTheLinkNamesAnother) {
  const std::string link = root_ + "/link";
  fs::create_directory_symlink(store_, link);
  ASSERT_TRUE(files_.hold_directory(link));
  EXPECT_EQ(complaint(), "");
  fs::remove(link);
  fs::create_directory_symlink(other_, link);
  EXPECT_NE(complaint().find(store_), std::string::npos) << complaint();
  EXPECT_TRUE(files_.open(link + "/new", Access::create));
  EXPECT_EQ(names_in(store_), std::set<std::string>{"new"});
}

// Otherwise acknowledged locks would end with the process, for lack of a file descriptor.
TEST_F(HeldDirectoryTest, IsSyncedWithoutAnotherDescriptor) {
  ASSERT_TRUE(files_.hold_directory(store_));
  rlimit before{};
  ASSERT_EQ(::getrlimit(RLIMIT_NOFILE, &before), 0);
  rlimit none = before;
  none.rlim_cur = 0;
  ASSERT_EQ(::setrlimit(RLIMIT_NOFILE, &none), 0);
  const auto opened = files_.open(store_ + "/new", Access::create);
  const auto synced = files_.sync_directory(store_);
  ASSERT_EQ(::setrlimit(RLIMIT_NOFILE, &before), 0);
  ASSERT_FALSE(opened);
  EXPECT_TRUE(is_short_of_descriptors(opened.error().code)) << opened.error().message;
  EXPECT_TRUE(synced) << synced.error().message;
}

TEST_F(HeldDirectoryTest, AnotherOneTakesItsPlace) {
  ASSERT_TRUE(files_.hold_directory(store_));
  ASSERT_TRUE(files_.hold_directory(other_));
  fs::remove(store_);
  EXPECT_EQ(complaint(), "");
  EXPECT_FALSE(files_.hold_directory(store_));
  EXPECT_EQ(complaint(), "");
}

class DirectReadTest : public testing::Test {
 protected:
  DirectReadTest() {
    std::string name = testing::TempDir() + "direct_read.XXXXXX";
    directory_ = ::mkdtemp(name.data());
    path_ = directory_ + "/file";
    std::ofstream{path_} << std::string(16'384, 'x');
  }
  ~DirectReadTest() override {
    block_bytes = 0;
    direct_read_error = 0;
    fs::remove_all(directory_);
  }
  void SetUp() override {
    auto file = files_.open(path_, Access::write);
    ASSERT_TRUE(file);
    if (!(*file)->bypass_cache()) GTEST_SKIP() << "this file system cannot bypass the page cache";
  }
  /// Returns the first block of the file as it was opened for this.
  IoResult<std::string> read(Access access) {
    auto file = files_.open(path_, access);
    EXPECT_TRUE(file);
    if (access == Access::write) bypasses_ = (*file)->bypass_cache();
    AlignedBytes block{direct_alignment};
    auto count = (*file)->read_at(0, block.span());
    if (!count) return count.error();
    return std::string{block.view().substr(0, *count)};
  }

  bool bypasses_ = false;
  std::string directory_;
  std::string path_;
  PosixFileSystem files_;
};

TEST_F(DirectReadTest, GoesThroughTheCacheIfTheDiskRequiresLargerBlocks) {
  block_bytes = 16'384;
  for (const Access access : {Access::read, Access::write}) {
    const auto bytes = read(access);
    ASSERT_TRUE(bytes);
    EXPECT_EQ(*bytes, std::string(direct_alignment, 'x'));
    EXPECT_FALSE(bypasses_);
  }
}

TEST_F(DirectReadTest, FailsIfTheDiskFails) {
  direct_read_error = EIO;
  for (const Access access : {Access::read, Access::write}) {
    const auto bytes = read(access);
    ASSERT_FALSE(bytes);
    EXPECT_EQ(bytes.error().code.value(), EIO);
  }
}

}  // namespace
}  // namespace locker::persistence
