// Answers without end: server-sent events.
#include "tests/server/later_fixture.hpp"

namespace locker::server {
namespace {

using std::chrono::milliseconds;

class HttpStreamTest : public LaterTest {
 protected:
  /// Returns a client that has received the header of a stream.
  RawClient listener(std::string_view target = "/stream") {
    RawClient one = client();
    EXPECT_TRUE(one.send(get(target)));
    const auto header = one.read_answer(true);
    EXPECT_TRUE(header);
    return one;
  }
};

TEST_F(HttpStreamTest, TheHeaderHasNoLengthAndSaysThatTheConnectionEnds) {
  start();
  RawClient one = client();
  ASSERT_TRUE(one.ask(get("/write")));
  ASSERT_TRUE(one.send(get("/stream")));
  const auto header = one.read_answer(true);
  ASSERT_TRUE(header);
  EXPECT_EQ(header->status, 200);
  EXPECT_EQ(header->field("Content-Type"), "text/event-stream");
  EXPECT_EQ(header->field("Cache-Control"), "no-store");
  EXPECT_EQ(header->field("Connection"), "close");
  EXPECT_EQ(header->field("Locker-Index"), "1");
  EXPECT_FALSE(header->has_field("Content-Length"));
  EXPECT_FALSE(header->has_field("Transfer-Encoding"));
}

TEST_F(HttpStreamTest, EventsArriveAsTheyCome) {
  start();
  RawClient one = listener();
  const auto channel = later_.channel(0);
  for (int i = 0; i < 100; ++i) {
    const std::string event = "data: " + std::to_string(i) + "\n\n";
    channel->put(event);
    EXPECT_EQ(one.read(event.size()), event);
  }
}

TEST_F(HttpStreamTest, WhatWasThereBeforeTheHeaderComesAfterIt) {
  start();
  journal_.close_gate();
  RawClient one = client();
  ASSERT_TRUE(one.send(get("/write") + get("/stream")));
  const auto channel = later_.channel(0);
  channel->put("data: early\n\n");
  channel->end();
  EXPECT_FALSE(one.has_something());
  journal_.open_gate();
  EXPECT_EQ(one.read_answer()->body, "1");
  ASSERT_TRUE(one.read_answer(true));
  EXPECT_EQ(one.read_to_end(), "data: early\n\n");
}

TEST_F(HttpStreamTest, ManyEventsComeInPiecesAndNoneIsLost) {
  start();
  RawClient one = listener();
  const auto channel = later_.channel(0);
  std::string all;
  std::thread reading{[&] { all = one.read_to_end(); }};
  std::string expected;
  for (int i = 0; i < 200'000; ++i) {
    const std::string event = "data: " + std::to_string(i) + "\n\n";
    channel->put(event);
    expected += event;
  }
  channel->end();
  reading.join();
  EXPECT_TRUE(all == expected);
  EXPECT_EQ(channel->largest(), 64U * 1024U);
}

TEST_F(HttpStreamTest, ItsEndClosesTheConnectionAfterWhatItHad) {
  start();
  RawClient one = listener();
  ASSERT_TRUE(one.send("bytes that nobody asked for"));
  const auto channel = later_.channel(0);
  channel->put("data: last\n\n");
  channel->end();
  EXPECT_EQ(one.read_to_end(), "data: last\n\n");
  EXPECT_TRUE(channel->is_gone());
  one.close();
  EXPECT_TRUE(eventually([&] { return server_->connections() == 0; }));
}

TEST_F(HttpStreamTest, ACommentIsSentWhenNothingHappens) {
  options_.limits.stream_silence = milliseconds{30};
  options_.limits.idle = options_.limits.header = milliseconds{20};
  start();
  RawClient one = listener();
  EXPECT_EQ(one.read(24), ": calm\n\n: calm\n\n: calm\n\n");
  later_.channel(0)->put("data: x\n\n");
  std::string rest;
  while (!rest.ends_with("data: x\n\n")) {
    const std::string byte = one.read(1);
    ASSERT_FALSE(byte.empty());
    rest += byte;
  }
  later_.channel(0)->end();
}

TEST_F(HttpStreamTest, AReaderThatTakesNothingIsClosed) {
  options_.limits.write_progress = milliseconds{50};
  start();
  RawClient one = listener("/endless");
  const auto channel = later_.channel(0);
  EXPECT_TRUE(eventually([&] { return channel->is_gone(); }));
  EXPECT_TRUE(eventually([&] { return server_->connections() == 0; }));
}

TEST_F(HttpStreamTest, AnEndlessStreamLeavesOthersTheirTurn) {
  start();
  RawClient one = listener("/endless");
  std::atomic<bool> enough = false;
  std::thread reading{[&] {
    while (!enough) EXPECT_FALSE(one.read(65536).empty());
  }};
  for (int i = 0; i < 20; ++i) EXPECT_TRUE(client().ask(get("/x")));
  enough = true;
  reading.join();
}

TEST_F(HttpStreamTest, TheClientsEndEndsTheStream) {
  start();
  RawClient closed = listener();
  RawClient reset = listener();
  RawClient busy = listener("/endless");
  closed.close();
  reset.reset();
  busy.reset();
  for (std::size_t i = 0; i < 3; ++i) {
    EXPECT_TRUE(eventually([&] { return later_.channel(i)->is_gone(); }));
  }
  EXPECT_TRUE(eventually([&] { return server_->connections() == 0; }));
}

TEST_F(HttpStreamTest, WhatTheClientSendsMeanwhileIsThrownAway) {
  start();
  RawClient one = client();
  ASSERT_TRUE(one.send(get("/stream") + get("/never")));
  ASSERT_TRUE(one.read_answer(true));
  const auto channel = later_.channel(0);
  ASSERT_TRUE(one.send(std::string(1'000'000, 'x')));
  channel->put("data: x\n\n");
  EXPECT_EQ(one.read(9), "data: x\n\n");
  EXPECT_EQ(later_.calls, 1);
}

TEST_F(HttpStreamTest, AHeadGetsOnlyTheHeader) {
  start();
  RawClient one = client();
  ASSERT_TRUE(one.send("HEAD /stream HTTP/1.1\r\nHost: a\r\n\r\n"));
  const auto header = one.read_answer(true);
  ASSERT_TRUE(header);
  EXPECT_EQ(header->field("Content-Type"), "text/event-stream");
  EXPECT_EQ(header->field("Connection"), "close");
  EXPECT_TRUE(one.is_at_end());
  EXPECT_TRUE(later_.channel(0)->is_gone());
}

TEST_F(HttpStreamTest, AReadThatThrowsClosesTheConnection) {
  start();
  RawClient one = listener();
  const auto channel = later_.channel(0);
  {
    const std::lock_guard lock{channel->mutex};
    channel->throws = true;
    channel->wake();
  }
  EXPECT_EQ(one.read_to_end(), "");
  EXPECT_TRUE(eventually([&] { return channel->is_gone(); }));
  EXPECT_EQ(errors(), std::vector<std::string>{"read() threw"});
}

TEST_F(HttpStreamTest, AStopClosesStreamsAtOnce) {
  start();
  RawClient quiet = listener();
  RawClient stuck = listener("/endless");
  later_.channel(0)->put("data: x\n\n");
  EXPECT_EQ(quiet.read(9), "data: x\n\n");
  server_->stop(milliseconds{600'000});
  EXPECT_TRUE(quiet.is_at_end());
  EXPECT_TRUE(later_.channel(0)->is_gone());
  EXPECT_TRUE(later_.channel(1)->is_gone());
}

TEST_F(HttpStreamTest, WakesThatRaceWithTheEndDoNoHarm) {
  options_.threads = 2;
  start();
  for (std::size_t round = 0; round < 1000; ++round) {
    RawClient one = listener();
    const auto channel = later_.channel(round);
    std::thread waking{[&] {
      for (int i = 0; i < 10; ++i) channel->put("data: x\n\n");
      if (round % 3 == 0) channel->end();
    }};
    if (round % 2 == 0) {
      one.close();
    } else {
      one.reset();
    }
    waking.join();
  }
  EXPECT_TRUE(eventually([&] { return server_->connections() == 0; }));
}

TEST_F(HttpStreamTest, TheAccessHookIsToldOnceAtTheHeader) {
  std::mutex mutex;
  std::vector<std::string> lines;
  options_.hooks.access = [&](const AccessEntry& entry) {
    const std::lock_guard lock{mutex};
    lines.push_back(std::string{entry.path} + ' ' + std::to_string(entry.status));
  };
  start();
  RawClient one = listener();
  {
    const std::lock_guard lock{mutex};
    EXPECT_EQ(lines, std::vector<std::string>{"/stream 200"});
  }
  later_.channel(0)->put("data: x\n\n");
  EXPECT_EQ(one.read(9), "data: x\n\n");
  server_->stop();
  EXPECT_EQ(lines.size(), 1U);
}

}  // namespace
}  // namespace locker::server
