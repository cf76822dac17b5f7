#include "server/service/event_log.hpp"

#include <gtest/gtest.h>

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

#include "core/url_path.hpp"

namespace locker::server {
namespace {

constexpr std::string_view reset = "event: reset\n";

/// Adds a granted event and makes it durable.
void grant(EventLog& log, std::string_view url_path, Index index) {
  core::Path path;
  ASSERT_FALSE(core::parse_url_path(url_path, path));
  log.add({core::EventKind::granted, path, {}, "me", index}, index);
  log.publish(index);
}

std::string read_all(Stream& reader) {
  std::string out;
  while (reader.read(out, 64 * 1024) == Stream::Outcome::more) {
  }
  return out;
}

std::string read_behind(EventLog& log, std::string_view last_event_id) {
  const auto reader = log.follow("", last_event_id);
  return reader ? read_all(*reader) : "";
}

/// Returns the ids of the granted events.
std::vector<std::string> ids_in(const std::string& text) {
  constexpr std::string_view begin = "\nid: ";
  std::vector<std::string> ids;
  for (std::size_t at = 0; (at = text.find(begin, at)) != std::string::npos;) {
    at += begin.size();
    const std::size_t end = text.find('\n', at);
    if (std::string_view{text}.substr(end).starts_with("\nevent: granted")) {
      ids.push_back(text.substr(at, end - at));
    }
  }
  return ids;
}

TEST(EventLog, GoesOnBehindEachEventThatItKnows) {
  EventLog log{2, 3, 100};
  const auto reader = log.follow("", "");
  ASSERT_TRUE(reader);
  for (const Index index : {4, 4, 5, 7}) grant(log, "/a", index);
  const auto ids = ids_in(read_all(*reader));
  ASSERT_EQ(ids.size(), 4U);
  for (std::size_t known = 0; known < ids.size(); ++known) {
    const std::string told = read_behind(log, ids[known]);
    EXPECT_EQ(told.find(reset), std::string::npos) << ids[known];
    const std::vector<std::string> later{ids.begin() + static_cast<std::ptrdiff_t>(known) + 1,
                                         ids.end()};
    EXPECT_EQ(ids_in(told), later);
  }
  for (const std::string_view unknown :
       {"4.0", "5.100", "7.104", "3.98", "4.99", "3.100", "7", "7.", "."}) {
    const std::string told = read_behind(log, unknown);
    EXPECT_NE(told.find(reset), std::string::npos) << unknown;
    EXPECT_TRUE(ids_in(told).empty()) << told;
  }
}

TEST(EventLog, NamesThePlaceFromWhichItIsFollowed) {
  EventLog log{1, 3, 100};
  EXPECT_EQ(read_behind(log, ""), "retry: 1000\nid: 3.99\n\n");
  grant(log, "/a", 4);
  EXPECT_EQ(read_behind(log, ""), "retry: 1000\nid: 4.100\n\n");
  const std::string told = read_behind(log, "3.99");
  EXPECT_TRUE(told.starts_with("retry: 1000\nid: 3.99\n\n")) << told;
  EXPECT_EQ(ids_in(told), (std::vector<std::string>{"4.100"}));
}

TEST(EventLog, AResetNamesThePlaceToo) {
  EventLog log{1, 3, 100};
  grant(log, "/a", 4);
  // Not before the reset: a client that disconnects between the two would resume as if nothing were
  // missing.
  EXPECT_EQ(read_behind(log, "1.1"), "retry: 1000\n\nid: 4.100\nevent: reset\ndata: {}\n\n");
}

TEST(EventLog, AnEventTellsHowFarAGrantReachesAndHowLongAnEndGoesOnBlocking) {
  EventLog log{1, 0, 1};
  core::Path path;
  ASSERT_FALSE(core::parse_url_path("/a", path));
  using core::EventKind;
  log.add({EventKind::granted, path, {core::Mode::shared, true, true}, "me", 7}, 1);
  log.add({EventKind::granted, path, {core::Mode::shared, false, false}, "", 8}, 2);
  log.add({EventKind::forced,
           path,
           {core::Mode::shared, true, true},
           "me",
           7,
           core::Milliseconds{30'000}},
          3);
  log.add({EventKind::expired, path, {core::Mode::shared, false, false}, "", 8}, 4);
  log.add({EventKind::cooled, path, {core::Mode::shared, true, true}, "me", 7}, 5);
  log.publish(5);
  const std::string mine = R"(data: {"path": "/a", "owner": "me", "mode": "shared", "fence": 7)";
  const std::string another = R"(data: {"path": "/a", "owner": "?", "mode": "shared", "fence": 8)";
  EXPECT_EQ(read_behind(log, "0.0"),
            "retry: 1000\nid: 0.0\n\n"
            "id: 1.1\nevent: granted\n" +
                mine + R"(, "lock_parents": true, "lock_children": true, "index": 1})" +
                "\n\nid: 2.2\nevent: granted\n" + another + R"(, "index": 2})" +
                "\n\nid: 3.3\nevent: forced\n" + mine + R"(, "cooling_ms": 30000, "index": 3})" +
                "\n\nid: 4.4\nevent: expired\n" + another + R"(, "index": 4})" +
                "\n\nid: 5.5\nevent: cooled\n" + mine + R"(, "index": 5})" + "\n\n");
}

TEST(EventLog, AnEventIsNotTakenForThatOfAnotherTimeWithItsIndex) {
  EventLog lost{1, 3, 100};
  std::vector<std::string> ids;
  {
    const auto reader = lost.follow("", "");
    ASSERT_TRUE(reader);
    for (Index index = 4; index <= 6; ++index) grant(lost, "/lost", index);
    ids = ids_in(read_all(*reader));
  }
  ASSERT_EQ(ids.size(), 3U);
  EventLog log{1, 3, 200};  // of the restored backup
  for (Index index = 4; index <= 9; ++index) grant(log, "/new", index);
  for (const std::string& id : ids) {
    EXPECT_NE(read_behind(log, id).find(reset), std::string::npos) << id;
  }
}

TEST(EventLog, AnEventThatTheRingHasNoMoreIsNotKnown) {
  EventLog log{1, 0, 1};
  for (Index index = 1; index <= EventLog::capacity + 1; ++index) grant(log, "/a", index);
  EXPECT_NE(read_behind(log, "1.1").find(reset), std::string::npos);
  EXPECT_NE(read_behind(log, "0.0").find(reset), std::string::npos);  // the start
  EXPECT_EQ(ids_in(read_behind(log, "2.2")).size(), EventLog::capacity - 1);
}

TEST(EventLog, AResetGoesOnFromNowAlsoWhenTheStartItselfIsForgotten) {
  EventLog log{1, 0, 1};
  for (Index index = 1; index <= EventLog::capacity + 1; ++index) grant(log, "/a", index);
  const std::string newest = std::to_string(EventLog::capacity + 1);
  for (const std::string_view unknown : {"0.0", "1.1", "nothing"}) {
    const auto reader = log.follow("", unknown);
    ASSERT_TRUE(reader);
    std::string out;
    EXPECT_EQ(reader->read(out, 64 * 1024), Stream::Outcome::waits) << unknown;
    EXPECT_EQ(out, "retry: 1000\n\nid: " + newest + "." + newest + "\nevent: reset\ndata: {}\n\n");
  }
  const auto reader = log.follow("", "0.0");
  ASSERT_TRUE(reader);
  const Index next = EventLog::capacity + 2;
  grant(log, "/a", next);
  const std::string id = std::to_string(next) + "." + std::to_string(next);
  EXPECT_EQ(ids_in(read_all(*reader)), std::vector<std::string>{id});
}

TEST(EventLog, OfLongTextsFewerAreKept) {
  EventLog log{1, 0, 1};
  const std::string long_path = [] {
    std::string path;
    for (int segment = 0; segment < 8; ++segment) path += "/" + std::string(250, 'l');
    return path;
  }();
  Index index = 0;
  for (std::size_t i = 0; i < EventLog::capacity; ++i) grant(log, long_path, ++index);
  EXPECT_NE(read_behind(log, "1.1").find(reset), std::string::npos);
  const std::size_t kept_max = EventLog::text_bytes_max / long_path.size();
  const auto name = [](Index number) {
    return std::to_string(number) + "." + std::to_string(number);
  };
  EXPECT_NE(read_behind(log, name(index - 2 * kept_max)).find(reset), std::string::npos);
  EXPECT_EQ(ids_in(read_behind(log, name(index - kept_max / 2))).size(), kept_max / 2);
  // Short texts have their room again once the long ones are gone.
  for (std::size_t i = 0; i < EventLog::capacity; ++i) grant(log, "/short", ++index);
  EXPECT_EQ(ids_in(read_behind(log, name(index - EventLog::capacity + 1))).size(),
            EventLog::capacity - 1);
}

TEST(EventLog, ACommentNamesThePlace) {
  EventLog log{1, 0, 1};
  core::Path quiet;
  ASSERT_FALSE(core::parse_url_path("/quiet", quiet));
  std::string place = "0.0";  // the id that the quiet reader knows
  for (Index index = 1; index <= EventLog::capacity + 1;) {
    const auto reader = log.follow(std::string{quiet.view().packed()}, place);
    ASSERT_TRUE(reader);
    EXPECT_EQ(read_all(*reader), "retry: 1000\nid: " + place + "\n\n");
    for (int i = 0; i < 30'000; ++i, ++index) grant(log, "/busy", index);
    EXPECT_EQ(read_all(*reader), "");
    std::string comment;
    reader->append_comment(comment);
    place = std::to_string(index - 1) + "." + std::to_string(index - 1);
    EXPECT_EQ(comment, ": \nid: " + place + "\n\n");
  }
}

TEST(EventLog, ACommentNamesNothingThatWasNotTold) {
  EventLog log{2, 0, 1};
  const auto reader = log.follow("", "");
  ASSERT_TRUE(reader);
  static_cast<void>(read_all(*reader));
  grant(log, "/a", 1);
  std::string comment;
  reader->append_comment(comment);
  EXPECT_EQ(comment, ": \nid: 0.0\n\n");
  for (Index index = 2; index <= EventLog::capacity + 1; ++index) grant(log, "/a", index);
  // The stream is over: the event that it would go on after is no longer kept.
  comment.clear();
  reader->append_comment(comment);
  EXPECT_EQ(comment, ": \nid: 0.0\n\n");
  EXPECT_NE(read_behind(log, "0.0").find(reset), std::string::npos);
}

TEST(EventLog, AReaderThatWantsNothingOfManyLooksAtThemInSlices) {
  EventLog log{1, 0, 1};
  core::Path path;
  ASSERT_FALSE(core::parse_url_path("/busy", path));
  for (Index index = 1; index <= EventLog::capacity; ++index) {
    log.add({core::EventKind::granted, path, {}, "me", index}, index);
  }
  log.publish(EventLog::capacity);
  core::Path other;
  ASSERT_FALSE(core::parse_url_path("/quiet", other));
  const auto reader = log.follow(std::string{other.view().packed()}, "1.1");
  ASSERT_TRUE(reader);
  std::string out;
  int slices = 1;
  while (reader->read(out, 64 * 1024) == Stream::Outcome::more) ++slices;
  EXPECT_GE(slices, 16);
  EXPECT_EQ(out, "retry: 1000\nid: 1.1\n\n");
}

}  // namespace
}  // namespace locker::server
