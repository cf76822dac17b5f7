// Many requests in one piece, one request in many pieces, and clients that do not read.
#include "tests/server/http_fixture.hpp"

namespace locker::server {
namespace {

class HttpPipeliningTest : public HttpTest {};

TEST_F(HttpPipeliningTest, ManyRequestsAtOnceAreAllAnsweredInOrder) {
  start();
  RawClient one = client();
  constexpr int count = 1000;  // many rounds
  std::string all;
  for (int i = 0; i < count; ++i) all += get(i % 7 == 0 ? "/write" : "/" + std::to_string(i));
  ASSERT_TRUE(one.send(all));
  int writes = 0;
  for (int i = 0; i < count; ++i) {
    const auto answer = one.read_answer();
    ASSERT_TRUE(answer) << i;
    EXPECT_EQ(answer->body,
              i % 7 == 0 ? std::to_string(++writes) : "GET /" + std::to_string(i) + " ");
  }
}

TEST_F(HttpPipeliningTest, EmptyLinesBetweenRequestsAreSkipped) {
  start();
  RawClient one = client();
  ASSERT_TRUE(one.send("\r\n" + get("/a") + "\r\n\r\n" + get("/b") + "\r\n"));
  EXPECT_EQ(one.read_answer()->body, "GET /a ");
  EXPECT_EQ(one.read_answer()->body, "GET /b ");
  EXPECT_EQ(one.ask("\r\n" + get("/c"))->body, "GET /c ");
}

TEST_F(HttpPipeliningTest, RequestsMayBeCutAnywhere) {
  start();
  const std::string two =
      get("/first") + "POST /second HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabc";
  for (std::size_t cut = 1; cut < two.size(); ++cut) {
    SCOPED_TRACE(cut);
    RawClient one = client();
    ASSERT_TRUE(one.send(two.substr(0, cut)));
    // Ensures that the server has seen the first piece on its own.
    ASSERT_TRUE(client().ask(get("/between")));
    ASSERT_TRUE(one.send(two.substr(cut)));
    EXPECT_EQ(one.read_answer()->body, "GET /first ");
    EXPECT_EQ(one.read_answer()->body, "POST /second abc");
  }
}

TEST_F(HttpPipeliningTest, RequestsMayComeByteByByte) {
  start();
  RawClient one = client();
  for (const char byte : get("/first") + get("/second")) ASSERT_TRUE(one.send({&byte, 1}));
  EXPECT_EQ(one.read_answer()->body, "GET /first ");
  EXPECT_EQ(one.read_answer()->body, "GET /second ");
}

TEST_F(HttpPipeliningTest, ALargeBodyBetweenSmallRequestsIsWhole) {
  start();
  RawClient one = client();
  std::string body(60'000, ' ');
  for (std::size_t i = 0; i < body.size(); ++i) body[i] = static_cast<char>('a' + i % 26);
  const std::string post = "POST /p HTTP/1.1\r\nHost: a\r\nContent-Length: 60000\r\n\r\n" + body;
  for (int round = 0; round < 3; ++round) {
    ASSERT_TRUE(one.send(get("/a") + post + get("/b")));
    EXPECT_EQ(one.read_answer()->body, "GET /a ");
    EXPECT_EQ(one.read_answer()->body, "POST /p " + body);
    EXPECT_EQ(one.read_answer()->body, "GET /b ");
  }
}

TEST_F(HttpPipeliningTest, AClientThatDoesNotReadIsNotReadFromAndLosesNothing) {
  start();
  RawClient one = client();
  std::string requests;
  for (int i = 0; i < 100; ++i) requests += get("/big/4000");
  std::size_t sent = 0;
  // Until the buffers of the server and of both kernels are full. If memory were not bounded, this
  // would not end.
  while (one.can_send(500)) {
    sent += one.send_some(std::string_view{requests}.substr(sent % requests.size()));
    ASSERT_LT(sent, std::size_t{256} << 20U) << "the server reads on";
  }
  const std::size_t size = get("/big/4000").size();
  EXPECT_LT(handler_.calls, sent / size);
  for (std::size_t i = 0; i < sent / size; ++i) {
    const auto answer = one.read_answer();
    ASSERT_TRUE(answer) << i;
    ASSERT_EQ(answer->body.size(), 4000U);
  }
  EXPECT_EQ(handler_.calls, sent / size);
}

TEST_F(HttpPipeliningTest, AnAnswerLargerThanAllBuffersArrivesWhole) {
  start();
  RawClient one = client();
  const auto answer = one.ask(get("/big/30000000"));
  ASSERT_TRUE(answer);
  EXPECT_EQ(answer->body, std::string(30'000'000, 'x'));
  EXPECT_EQ(one.ask(get("/a"))->body, "GET /a ");
}

TEST_F(HttpPipeliningTest, OneThatPipelinesWithoutEndDoesNotStopTheOthers) {
  start();
  RawClient greedy = client();
  std::atomic<bool> done = false;
  std::thread pusher{[&] {
    std::string requests;
    for (int i = 0; i < 500; ++i) requests += get("/x");
    while (!done && greedy.send(requests)) {
    }
  }};
  std::thread reader{[&] {
    while (greedy.read_answer()) {
    }
  }};
  RawClient modest = client();
  for (int i = 0; i < 100; ++i) EXPECT_TRUE(modest.ask(get("/y")));
  done = true;
  pusher.join();
  greedy.shut_down_sending();
  reader.join();
}

}  // namespace
}  // namespace locker::server
