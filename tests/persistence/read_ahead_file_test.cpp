#include "persistence/read_ahead_file.hpp"

#include <algorithm>
#include <atomic>
#include <optional>
#include <random>
#include <string>
#include <system_error>
#include <thread>

#include <gtest/gtest.h>

#include "tests/support/no_more_threads.hpp"

namespace locker::persistence {
namespace {

constexpr std::size_t mebibyte = std::size_t{1} << 20U;

/// A file with predictable contents whose reads fail from some offset on.
class PatternFile final : public File {
 public:
  explicit PatternFile(std::size_t size, std::uint64_t fails_from = UINT64_MAX)
      : fails_from_(fails_from) {
    std::mt19937_64 random{size};
    for (std::size_t i = 0; i < size; ++i) bytes_ += static_cast<char>(random());
  }
  IoResult<void> write_at(std::uint64_t, std::string_view) override { return {}; }
  IoResult<void> sync() override { return {}; }
  IoResult<void> allocate(std::uint64_t) override { return {}; }
  IoResult<std::uint64_t> size() const override { return bytes_.size(); }
  IoResult<std::size_t> read_at(std::uint64_t offset, std::span<char> bytes) override {
    EXPECT_EQ(offset % direct_alignment, 0U);
    EXPECT_EQ(bytes.size() % direct_alignment, 0U);
    ++reads_;
    if (offset + bytes.size() > fails_from_) {
      return IoError{{EIO, boost::system::system_category()}, "it fails"};
    }
    return offset >= bytes_.size() ? 0 : bytes_.copy(bytes.data(), bytes.size(), offset);
  }
  [[nodiscard]] std::string part(std::uint64_t offset, std::size_t size) const {
    return offset >= bytes_.size() ? std::string{} : bytes_.substr(offset, size);
  }
  [[nodiscard]] int reads() const { return reads_; }

 private:
  std::string bytes_;
  std::uint64_t fails_from_;
  std::atomic<int> reads_{0};
};

std::string read(File& file, std::uint64_t offset, std::size_t size) {
  std::string bytes(size, '?');
  const auto count = file.read_at(offset, bytes);
  if (!count) return "error: " + count.error().message;
  return bytes.substr(0, *count);
}

TEST(ReadAheadFile, FromFrontToBackGivesTheFileUpToItsEnd) {
  for (const std::size_t size : {std::size_t{0}, direct_alignment, 3 * mebibyte,
                                 3 * mebibyte + 4096, 2 * mebibyte - 100, 5 * mebibyte + 1}) {
    for (const std::size_t step : {direct_alignment, 64 * direct_alignment, 2 * mebibyte}) {
      auto whole = std::make_unique<PatternFile>(size);
      const PatternFile& expected = *whole;
      ReadAheadFile file{std::move(whole)};
      for (std::uint64_t offset = 0; offset < size + 2 * step; offset += step) {
        ASSERT_EQ(read(file, offset, step), expected.part(offset, step)) << size << " " << offset;
      }
    }
  }
}

TEST(ReadAheadFile, ReadsInLargePieces) {
  auto whole = std::make_unique<PatternFile>(mebibyte);
  const PatternFile& reads = *whole;
  ReadAheadFile file{std::move(whole)};
  for (std::uint64_t offset = 0; offset < mebibyte; offset += direct_alignment) {
    static_cast<void>(read(file, offset, direct_alignment));
  }
  EXPECT_LT(reads.reads(), 10);
}

TEST(ReadAheadFile, WhereTheSystemGivesNoThreadTheCallerReadsForItself) {
  for (const std::uint64_t from : {std::uint64_t{0}, std::uint64_t{2 * mebibyte}}) {
    auto whole = std::make_unique<PatternFile>(5 * mebibyte);
    const PatternFile& expected = *whole;
    ReadAheadFile file{std::move(whole)};
    std::optional<test::NoMoreThreads> no_more_threads;
    for (std::uint64_t offset = 0; offset < 5 * mebibyte; offset += direct_alignment) {
      if (offset == from) no_more_threads.emplace();
      ASSERT_EQ(read(file, offset, direct_alignment), expected.part(offset, direct_alignment));
    }
    EXPECT_THROW(std::thread{[] {}}, std::system_error);
  }
}

TEST(ReadAheadFile, JumpsAnywhere) {
  auto whole = std::make_unique<PatternFile>(4 * mebibyte + 300);
  const PatternFile& expected = *whole;
  ReadAheadFile file{std::move(whole)};
  std::mt19937_64 random{1};
  std::uint64_t offset = 0;
  for (int i = 0; i < 20'000; ++i) {
    const std::size_t size = (1 + random() % 40) * direct_alignment;
    if (random() % 20 == 0) offset = random() % 1200 * direct_alignment;
    ASSERT_EQ(read(file, offset, size), expected.part(offset, size)) << i << ": " << offset;
    offset = offset > 5 * mebibyte ? 0 : offset + size;
  }
}

TEST(ReadAheadFile, AnErrorIsThatOfThePartThatIsAskedFor) {
  ReadAheadFile file{std::make_unique<PatternFile>(4 * mebibyte, 3 * mebibyte)};
  std::uint64_t offset = 0;
  std::string last;
  for (; offset < 4 * mebibyte && !last.starts_with("error"); offset += direct_alignment) {
    last = read(file, offset, direct_alignment);
  }
  EXPECT_EQ(last, "error: it fails");
  EXPECT_GT(offset, 2 * mebibyte);
  EXPECT_LE(offset, 3 * mebibyte + direct_alignment);
}

}  // namespace
}  // namespace locker::persistence
