#include "server/calls/call_reader.hpp"

#include <gtest/gtest.h>

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>

namespace locker::server {
namespace {

TEST(CallReader, TheFirstFaultStaysAndNothingIsReadBehindIt) {
  Request request;
  request.target = RequestTarget{"/a?owner=me&ttl=never&meta=m&force=maybe"};
  core::Path path;
  std::optional<std::string> owner;
  std::optional<core::Milliseconds> ttl;
  std::string meta;
  bool is_checked = false;
  CallReader read{request};
  read.path("/a", path)
      .parameters()
      .owner(owner)
      .ttl({}, ttl)
      .meta(meta)
      .require(false, "Another fault.")
      .check([&] {
        is_checked = true;
        return std::nullopt;
      });
  EXPECT_EQ(owner, "me");
  EXPECT_EQ(meta, "");
  EXPECT_FALSE(is_checked);
  Response response;
  EXPECT_TRUE(read.refused(response));
  EXPECT_EQ(response.status, 400U);
  EXPECT_NE(response.body.find("Parameter 'ttl' must be a duration"), std::string::npos)
      << response.body;
}

TEST(CallReader, WhatIsNotGivenStaysAsItIs) {
  Request request;
  request.target = RequestTarget{"/a?token="};
  std::optional<std::string> owner = "me";
  std::optional<std::uint64_t> fence = 7;
  std::chrono::microseconds wait{5};
  bool is_force = true;
  CallReader read{request};
  read.parameters()
      .owner(owner)
      .number("fence", 1, 10, fence)
      .duration("wait", {}, std::chrono::hours{1}, wait)
      .flag("force", is_force);
  EXPECT_FALSE(read.fault());
  EXPECT_EQ(owner, "me");
  EXPECT_EQ(fence, 7U);
  EXPECT_EQ(wait.count(), 5);
  EXPECT_TRUE(is_force);
  EXPECT_FALSE(read.has("owner"));
  EXPECT_TRUE(read.has("token"));
  EXPECT_EQ(read.text("owner"), "");
}

}  // namespace
}  // namespace locker::server
