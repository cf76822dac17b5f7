#include "server/program/connection_limits.hpp"

#include <limits>

#include <gtest/gtest.h>

namespace locker::server {
namespace {

HttpServer::Options options_with(unsigned threads, std::size_t connections_max) {
  HttpServer::Options options;
  options.threads = threads;
  options.connections_max = connections_max;
  return options;
}

TEST(ConnectionLimits, WithEnoughDescriptorsThereAreAllThatAreWanted) {
  for (const std::size_t wanted : {1U, 8U, 10'000U}) {
    HttpServer::Options options = options_with(4, wanted);
    const std::size_t turned_away_max = options.limits.turned_away_max;
    limit_connections(descriptors_wanted(options), options);
    EXPECT_EQ(options.connections_max, wanted);
    EXPECT_EQ(options.limits.turned_away_max, turned_away_max);
  }
}

TEST(ConnectionLimits, WithFewerThereAreAsManyAsFit) {
  for (const unsigned threads : {1U, 2U, 64U}) {
    const std::uint64_t least = descriptors_min(options_with(threads, 10'000));
    for (std::uint64_t descriptors = least; descriptors < least + 3'000; descriptors += 7) {
      HttpServer::Options options = options_with(threads, 10'000);
      limit_connections(descriptors, options);
      EXPECT_EQ(descriptors_wanted(options), descriptors);
      EXPECT_GE(options.connections_max, 7U);
    }
  }
}

TEST(ConnectionLimits, AnyNumberCanBeWanted) {
  HttpServer::Options options = options_with(2, std::numeric_limits<std::size_t>::max());
  EXPECT_GT(descriptors_wanted(options), std::uint64_t{1} << 62U);
  limit_connections(1'044, options);
  EXPECT_EQ(options.limits.turned_away_max, 62U);
  EXPECT_EQ(options.connections_max, 1'000U - 124U);
}

TEST(ConnectionLimits, AnEighthIsNeitherForWhoWaitsNorForWhoFollowsEvents) {
  Locker::Options options;
  options.service.limits.waiters_max = 1'000'000;
  share_connections(1'000, options);
  EXPECT_EQ(options.event_readers_max, 125U);
  EXPECT_EQ(options.service.limits.waiters_max, 750U);
}

TEST(ConnectionLimits, WhatTheOptionsTakeLessOfIsLeftForOthers) {
  Locker::Options options;
  options.service.limits.waiters_max = 10;
  options.event_readers_max = 0;
  share_connections(1'000, options);
  EXPECT_EQ(options.event_readers_max, 0U);
  EXPECT_EQ(options.service.limits.waiters_max, 10U);
  options.service.limits.waiters_max = 1'000'000;
  share_connections(1'000, options);
  EXPECT_EQ(options.service.limits.waiters_max, 875U);
}

TEST(ConnectionLimits, OneCanAlwaysWait) {
  for (std::size_t connections = 1; connections < 8; ++connections) {
    Locker::Options options;
    share_connections(connections, options);
    EXPECT_EQ(options.event_readers_max, 1U);
    EXPECT_GE(options.service.limits.waiters_max, 1U);
  }
}

}  // namespace
}  // namespace locker::server
