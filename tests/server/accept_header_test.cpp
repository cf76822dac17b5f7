#include "server/calls/accept_header.hpp"

#include <gtest/gtest.h>

namespace locker::server {
namespace {

bool prefers_text(std::string_view accept) {
  return quality_of("text/plain", accept) > quality_of("application/json", accept);
}

TEST(AcceptHeader, TextIsForThoseWhoWantItMoreThanJson) {
  for (const char* const accept :
       {"text/plain", "TEXT/plain", "text/*", "text/plain;q=0.2", "text/plain, */*;q=0.1",
        "application/json;q=0.5,text/plain", "text/plain;charset=utf-8 ; q=0.9",
        "text/plain, application/json;q=0"}) {
    EXPECT_TRUE(prefers_text(accept)) << accept;
  }
}

TEST(AcceptHeader, JsonIsForAllOthers) {
  for (const char* const accept :
       {"", " ", "*/*", "application/json", "application/json, text/plain, */*",
        "text/plain;q=0.1, application/json", "text/plain;q=0", "*/*, text/plain;q=0.3",
        "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8", "text/plainer", "text",
        ",,;q=1", "image/png"}) {
    EXPECT_FALSE(prefers_text(accept)) << accept;
  }
}

TEST(AcceptHeader, QualitiesAreThousandths) {
  EXPECT_EQ(quality_of("text/plain", "text/plain"), 1000);
  EXPECT_EQ(quality_of("text/plain", "text/plain;q=1.000"), 1000);
  EXPECT_EQ(quality_of("text/plain", "text/plain;q=0.257"), 257);
  EXPECT_EQ(quality_of("text/plain", "text/plain;q=0."), 0);
  EXPECT_EQ(quality_of("text/plain", "text/*;q=0.5, */*;q=0.9"), 500);
  EXPECT_EQ(quality_of("text/plain", "image/png"), 0);
}

}  // namespace
}  // namespace locker::server
