#include "server/event_log.hpp"

#include <gtest/gtest.h>

#include <string>

#include "core/url_path.hpp"

namespace locker::server {
namespace {

TEST(EventLog, AReaderThatWantsNothingOfManyLooksAtThemInSlices) {
  EventLog log{1};
  log.start(0, 1);
  core::Path path;
  ASSERT_FALSE(core::parse_url_path("/busy", path));
  for (Index index = 1; index <= EventLog::capacity; ++index) {
    log.add({core::EventKind::granted, path, {}, "me", index}, index);
  }
  log.publish(EventLog::capacity);
  core::Path other;
  ASSERT_FALSE(core::parse_url_path("/quiet", other));
  const auto reader = log.follow(std::string{other.view().packed()}, "1.0");
  ASSERT_TRUE(reader);
  std::string out;
  int slices = 1;
  while (reader->read(out, 64 * 1024) == Stream::Outcome::more) ++slices;
  EXPECT_GE(slices, 16);
  EXPECT_EQ(out, "retry: 1000\n\n");
}

}  // namespace
}  // namespace locker::server
