#include "core/url_path.hpp"

#include <gtest/gtest.h>

#include <string>
#include <vector>

namespace locker::core {
namespace {

std::vector<std::string> segments(std::string_view text) {
  Path path;
  const auto fault = parse_url_path(text, path);
  EXPECT_FALSE(fault) << text << ": " << fault->message;
  std::vector<std::string> found;
  for (const std::string_view segment : path.view()) found.emplace_back(segment);
  return found;
}

std::string fault_of(std::string_view text) {
  Path path;
  const auto fault = parse_url_path(text, path);
  return fault ? fault->message : "";
}

std::string canonical(std::string_view text) {
  Path path;
  EXPECT_FALSE(parse_url_path(text, path));
  std::string out;
  append_url_path(path, out);
  return out;
}

using Segments = std::vector<std::string>;

TEST(UrlPath, SplitsOnSlashesAndDropsEmptySegments) {
  EXPECT_EQ(segments("/foo/bar"), (Segments{"foo", "bar"}));
  EXPECT_EQ(segments("//foo///bar/"), (Segments{"foo", "bar"}));
  EXPECT_EQ(segments("/"), Segments{});
  EXPECT_EQ(segments(""), Segments{});
}

TEST(UrlPath, DecodesEachSegmentOnceAndAfterSplitting) {
  EXPECT_EQ(segments("/a%2Fb/c"), (Segments{"a/b", "c"}));
  EXPECT_EQ(segments("/%2541"), Segments{"%41"});
  EXPECT_EQ(segments("/a+b"), Segments{"a+b"});
  EXPECT_EQ(segments("/%c3%A9"), Segments{"\xC3\xA9"});
}

TEST(UrlPath, RefusesWhatCouldMeanTwoThings) {
  EXPECT_NE(fault_of("/a/./b").find("'.'"), std::string::npos);
  EXPECT_NE(fault_of("/a/../b").find("'..'"), std::string::npos);
  EXPECT_NE(fault_of("/a/%2e%2E"), "");
  EXPECT_NE(fault_of("/a%00b"), "");
  EXPECT_NE(fault_of("/a%7Fb"), "");
  EXPECT_NE(fault_of("/a%C2%85b"), "");
  EXPECT_NE(fault_of("/%ff"), "");
  EXPECT_NE(fault_of("/%C0%AF"), "");
  EXPECT_NE(fault_of("/%ED%A0%80"), "");
  EXPECT_NE(fault_of("/%4"), "");
  EXPECT_NE(fault_of("/%zz"), "");
  EXPECT_EQ(fault_of("/..."), "");
}

TEST(UrlPath, HoldsItsLimitsToTheByte) {
  const std::string longest(255, 'x');
  EXPECT_EQ(fault_of("/" + longest), "");
  EXPECT_NE(fault_of("/" + longest + "x"), "");
  std::string deep;
  for (int i = 0; i < 64; ++i) deep += "/s";
  EXPECT_EQ(fault_of(deep), "");
  EXPECT_NE(fault_of(deep + "/s"), "");
  std::string big;
  for (int i = 0; i < 8; ++i) big += "/" + std::string(255, 'y');
  EXPECT_EQ(fault_of(big), "");  // 8 * 256 = 2,048
  EXPECT_NE(fault_of(big + "/y"), "");
}

TEST(UrlPath, HasOneCanonicalSpellingThatParsesToTheSamePath) {
  EXPECT_EQ(canonical("//foo/b%61r/"), "/foo/bar");
  EXPECT_EQ(canonical("/"), "/");
  EXPECT_EQ(canonical("/a%2fb"), "/a%2Fb");
  EXPECT_EQ(canonical("/a b"), "/a%20b");
  EXPECT_EQ(canonical("/a+b~c"), "/a+b~c");
  EXPECT_EQ(canonical("/\xC3\xA9?"), "/%C3%A9%3F");
  for (const std::string_view text : {"/foo/bar", "/%25", "/%23x", "/a%2Fb/%5C"}) {
    EXPECT_EQ(canonical(canonical(text)), canonical(text));
    EXPECT_EQ(segments(canonical(text)), segments(text));
  }
}

TEST(PackedPath, IsCheckedWhenItComesFromAFile) {
  EXPECT_TRUE(is_packed_path(""));
  EXPECT_TRUE(is_packed_path("\3foo\3bar"));
  EXPECT_FALSE(is_packed_path(std::string_view("\0", 1)));
  EXPECT_FALSE(is_packed_path("\4foo"));
  EXPECT_FALSE(is_packed_path("\2.."));
  EXPECT_FALSE(is_packed_path("\1\x01"));
}

TEST(PathView, KnowsItsAncestors) {
  Path foo, foo_bar, foob;
  ASSERT_FALSE(parse_url_path("/foo", foo));
  ASSERT_FALSE(parse_url_path("/foo/bar", foo_bar));
  ASSERT_FALSE(parse_url_path("/foob", foob));
  EXPECT_TRUE(foo.view().is_ancestor_of(foo_bar));
  EXPECT_TRUE(PathView{}.is_ancestor_of(foo));
  EXPECT_FALSE(foo.view().is_ancestor_of(foob));
  EXPECT_FALSE(foo.view().is_ancestor_of(foo));
}

}  // namespace
}  // namespace locker::core
