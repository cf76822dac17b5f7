#include "core/access_rule.hpp"

#include <gtest/gtest.h>

#include "core/url_path.hpp"

namespace locker::core {
namespace {

AccessRule rule(std::string_view right, std::string_view path) {
  return *parse_access_rule(right, path);
}

bool is_allowed_at(const std::vector<AccessRule>& rules, Right right, std::string_view url_path) {
  Path path;
  EXPECT_FALSE(parse_url_path(url_path, path));
  return is_allowed(rules, right, path);
}

TEST(AccessRule, HoldsAtItsPathAndBelowAndNowhereElse) {
  const std::vector<AccessRule> rules{rule("lock", "/ci")};
  EXPECT_TRUE(is_allowed_at(rules, Right::lock, "/ci"));
  EXPECT_TRUE(is_allowed_at(rules, Right::lock, "/ci/a/b"));
  EXPECT_TRUE(is_allowed_at(rules, Right::lock, "//ci//a"));
  EXPECT_FALSE(is_allowed_at(rules, Right::lock, "/"));
  EXPECT_FALSE(is_allowed_at(rules, Right::lock, "/c"));
  EXPECT_FALSE(is_allowed_at(rules, Right::lock, "/ci2"));
  EXPECT_FALSE(is_allowed_at(rules, Right::lock, "/ci%2Fa"));  // one segment, with a slash in it
  EXPECT_FALSE(is_allowed_at(rules, Right::lock, "/prod/ci"));
}

TEST(AccessRule, EveryRightIncludesReadAndAdminEverything) {
  EXPECT_TRUE(is_allowed_at({rule("lock", "/a")}, Right::read, "/a/b"));
  EXPECT_TRUE(is_allowed_at({rule("force", "/a")}, Right::read, "/a/b"));
  EXPECT_FALSE(is_allowed_at({rule("read", "/a")}, Right::lock, "/a/b"));
  EXPECT_FALSE(is_allowed_at({rule("force", "/a")}, Right::lock, "/a/b"));
  EXPECT_FALSE(is_allowed_at({rule("lock", "/a")}, Right::force, "/a/b"));
  for (const Right right : {Right::read, Right::lock, Right::force, Right::admin}) {
    EXPECT_TRUE(is_allowed_at({rule("admin", "/")}, right, "/a"));
    EXPECT_FALSE(is_allowed_at({}, right, "/a"));
  }
  EXPECT_FALSE(is_allowed_at({rule("lock", "/"), rule("force", "/")}, Right::admin, "/"));
}

TEST(AccessRule, WhatCouldBeMisreadIsRefused) {
  for (const auto& [right, path] : {std::pair{"locks", "/a"},
                                    {"Lock", "/a"},
                                    {"", "/a"},
                                    {"lock", ""},
                                    {"lock", "a"},
                                    {"lock", "/a/"},
                                    {"lock", "//a"},
                                    {"lock", "/a/../b"},
                                    {"lock", "/a/."},
                                    {"lock", "/%61"},
                                    {"lock", "/a%2fb"},
                                    {"lock", "/%zz"},
                                    {"admin", "/a"}}) {
    EXPECT_TRUE(parse_access_rule(right, path).has_error()) << right << " " << path;
  }
  EXPECT_TRUE(parse_access_rule("lock", "/a%2Fb").has_value());
}

TEST(AccessRule, NamesOfKeysFitIntoLogs) {
  EXPECT_TRUE(is_key_name("ci-runner_7.prod"));
  EXPECT_TRUE(is_key_name(std::string(64, 'x')));
  EXPECT_FALSE(is_key_name(""));
  EXPECT_FALSE(is_key_name(std::string(65, 'x')));
  EXPECT_FALSE(is_key_name("a b"));
  EXPECT_FALSE(is_key_name("a\"b"));
}

}  // namespace
}  // namespace locker::core
