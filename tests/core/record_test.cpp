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

template <typename Kind>
void expect_comes_back(const Kind& written) {
  std::string bytes;
  append_record(written, bytes);
  append_record(Ended{}, bytes);  // a wrong length would show in this next record
  RecordReader reader{bytes};
  Record read;
  ASSERT_TRUE(reader.next(read));
  EXPECT_EQ(std::get<Kind>(read), written);
  ASSERT_TRUE(reader.next(read));
  EXPECT_EQ(std::get<Ended>(read), Ended{});
  EXPECT_FALSE(reader.next(read));
  EXPECT_EQ(reader.fault(), nullptr);
}

TEST(Record, OfEveryKindComesBack) {
  Path path;
  ASSERT_FALSE(parse_url_path("/foo", path));
  const LockId id{77, 2};
  const std::string meta(meta_bytes_max, 'm');
  using Ms = Milliseconds;
  expect_comes_back(Granted{token(1), id, {}, "o", path, Ms{30'000}, Ms{0}, "", false});
  expect_comes_back(Granted{token(1), id, {}, "", path, Ms{0}, Ms{500}, meta, true});
  expect_comes_back(Granted{token(1), id, {}, "", {}, Ms{0}, Ms{0}, "", true});
  expect_comes_back(LeaseOpened{token(2), id, "owner", Ms{1}});
  expect_comes_back(LeaseOpened{token(2), id, "", Ms{0}});
  expect_comes_back(TtlChanged{token(3), Ms{4'294'967'295}});
  expect_comes_back(Cooling{token(4), id, End::forced});
  for (const End reason : {End::released, End::expired, End::changed, End::cooled}) {
    expect_comes_back(Ended{token(5), id, reason});
  }
}

TEST(Record, CutAnywhereIsAFaultAndNeverARecord) {
  Path path;
  ASSERT_FALSE(parse_url_path("/foo/bar", path));
  std::string bytes;
  append_record(Granted{token(1), {9, 0}, {}, "me", path, Milliseconds{9}, {}, "meta", false},
                bytes);
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
