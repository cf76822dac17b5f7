#include "core/record.hpp"

#include <gtest/gtest.h>

#include "core/url_path.hpp"

namespace locker::core {
namespace {

Token token(std::uint8_t first) {
  Token made;
  made.bytes[0] = first;
  return made;
}

TEST(Record, ComesBackAsItWasWritten) {
  Path path;
  ASSERT_FALSE(parse_url_path("/foo/a%2Fb", path));
  const Granted granted{token(7), {1234567890123, 3}, {Mode::shared, false, true}, "timmy", path};
  const Granted root{token(8), {1234567890124, 0}, {Mode::exclusive, true, false}, "", {}};
  const Ended ended{token(7), {1234567890123, 3}, End::forced};
  std::string bytes;
  append_record(granted, bytes);
  append_record(root, bytes);
  append_record(ended, bytes);
  RecordReader reader{bytes};
  Record read;
  ASSERT_TRUE(reader.next(read));
  EXPECT_EQ(std::get<Granted>(read), granted);
  ASSERT_TRUE(reader.next(read));
  EXPECT_EQ(std::get<Granted>(read), root);
  ASSERT_TRUE(reader.next(read));
  EXPECT_EQ(std::get<Ended>(read), ended);
  EXPECT_FALSE(reader.next(read));
  EXPECT_EQ(reader.fault(), nullptr);
}

TEST(Record, CutAnywhereIsAFaultAndNeverARecord) {
  Path path;
  ASSERT_FALSE(parse_url_path("/foo/bar", path));
  std::string bytes;
  append_record(Granted{token(1), {9, 0}, {}, "me", path}, bytes);
  for (std::size_t size = 1; size < bytes.size(); ++size) {
    RecordReader reader{std::string_view{bytes}.substr(0, size)};
    Record read;
    EXPECT_FALSE(reader.next(read)) << size;
    EXPECT_NE(reader.fault(), nullptr) << size;
  }
}

TEST(Record, UnknownKindsAndFlagsAreRefusedNotGuessed) {
  std::string bytes;
  append_record(Granted{token(1), {9, 0}, {}, "", {}}, bytes);
  for (const auto& [at, value] : {std::pair{0U, 6}, std::pair{0U, 0}, std::pair{1U, 32}}) {
    std::string changed = bytes;
    changed[at] = static_cast<char>(value);
    RecordReader reader{changed};
    Record read;
    EXPECT_FALSE(reader.next(read));
    EXPECT_NE(reader.fault(), nullptr);
  }
}

}  // namespace
}  // namespace locker::core
