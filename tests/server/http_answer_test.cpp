// How answers are framed, and when a connection stays open.
#include "tests/server/http_fixture.hpp"

namespace locker::server {
namespace {

class HttpAnswerTest : public HttpTest {};

TEST_F(HttpAnswerTest, AnAnswerHasDateTypeLengthAndForbidsCaching) {
  start();
  const auto answer = client().ask(get("/x?y=1"));
  ASSERT_TRUE(answer);
  EXPECT_EQ(answer->status, 200);
  EXPECT_EQ(answer->body, "GET /x?y=1 ");
  EXPECT_EQ(answer->field("Content-Type"), "application/json");
  EXPECT_EQ(answer->field("Content-Length"), "11");
  EXPECT_EQ(answer->field("Cache-Control"), "no-store");
  EXPECT_FALSE(answer->has_field("Connection"));
}

TEST_F(HttpAnswerTest, TheDateIsWrittenAsHttpWantsIt) {
  DateText date;
  date.set(784111777);
  EXPECT_EQ(date.text(), "Sun, 06 Nov 1994 08:49:37 GMT");
  date.set(951782400);
  EXPECT_EQ(date.text(), "Tue, 29 Feb 2000 00:00:00 GMT");
}

TEST_F(HttpAnswerTest, AllowAndRetryAfterAreSent) {
  start();
  RawClient one = client();
  const auto not_allowed = one.ask(get("/allow"));
  ASSERT_TRUE(not_allowed);
  EXPECT_EQ(not_allowed->status, 405);
  EXPECT_EQ(not_allowed->field("Allow"), "GET, HEAD");
  const auto later = one.ask(get("/later"));
  ASSERT_TRUE(later);
  EXPECT_EQ(later->status, 503);
  EXPECT_EQ(later->field("Retry-After"), "1");
  EXPECT_FALSE(later->has_field("Allow"));
}

TEST_F(HttpAnswerTest, HeadGetsTheFieldsOfGetAndNoBody) {
  start();
  RawClient one = client();
  ASSERT_TRUE(one.send("HEAD /x HTTP/1.1\r\nHost: a\r\n\r\n" + get("/y")));
  const auto head = one.read_answer(true);
  ASSERT_TRUE(head);
  EXPECT_EQ(head->field("Content-Length"), "8");
  const auto next = one.read_answer();
  ASSERT_TRUE(next);
  EXPECT_EQ(next->body, "GET /y ");
}

TEST_F(HttpAnswerTest, ABodyReachesTheHandler) {
  start();
  const auto answer = client().ask("POST /x HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello");
  ASSERT_TRUE(answer);
  EXPECT_EQ(answer->body, "POST /x hello");
}

/// As sent by clients that do not know the length beforehand.
TEST_F(HttpAnswerTest, SoDoesOneInChunksAndTheConnectionGoesOn) {
  start();
  RawClient one = client();
  const std::string head = "POST /x HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n";
  ASSERT_TRUE(one.send(head + "Expect: 100-continue\r\n\r\n"));
  EXPECT_EQ(one.read_answer()->head, "HTTP/1.1 100 Continue\r\n");
  ASSERT_TRUE(one.send("2\r\nhe\r\n"));
  ASSERT_TRUE(one.send("3\r\nllo\r\n0\r\n\r\n" + get("/next")));
  EXPECT_EQ(one.read_answer()->body, "POST /x hello");
  EXPECT_EQ(one.read_answer()->body, "GET /next ");
  std::string chunks;
  for (int i = 0; i < 60; ++i) chunks += "400\r\n" + std::string(1024, 'b') + "\r\n";
  EXPECT_EQ(one.ask(head + "\r\n" + chunks + "0\r\n\r\n")->body.size(), 60U * 1024 + 8);
  EXPECT_EQ(
      one.ask("DELETE /x HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n")->body,
      "DELETE /x ");
  EXPECT_TRUE(eventually([&] { return server_->buffered() == 0; }));
}

TEST_F(HttpAnswerTest, AnUnknownMethodReachesTheHandler) {
  start();
  const auto answer = client().ask("PATCH /x HTTP/1.1\r\nHost: a\r\n\r\n");
  ASSERT_TRUE(answer);
  EXPECT_EQ(answer->body, "PATCH /x ");
}

TEST_F(HttpAnswerTest, LockAndUnlockTakeABody) {
  start();
  for (const char* method : {"LOCK", "UNLOCK"}) {
    const auto answer = client().ask(
        method + std::string{" /x HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello"});
    ASSERT_TRUE(answer);
    EXPECT_EQ(answer->body, method + std::string{" /x hello"});
  }
}

TEST_F(HttpAnswerTest, EveryReplySaysItsIndexOrTheLastDurableOne) {
  options_.limits.tick = options_.limits.header = std::chrono::milliseconds{20};
  options_.limits.over_limit = std::chrono::milliseconds{20};
  options_.connections_max = 2;
  start();
  RawClient one = client();
  EXPECT_EQ(one.ask(get("/x"))->field("Locker-Index"), "0");
  EXPECT_EQ(one.ask(get("/write"))->field("Locker-Index"), "1");
  EXPECT_EQ(one.ask(get("/write"))->field("Locker-Index"), "2");
  EXPECT_EQ(one.ask(get("/x"))->field("Locker-Index"), "2");
  EXPECT_EQ(one.ask(get("/missing"))->field("Locker-Index"), "2");

  RawClient slow = client();
  ASSERT_TRUE(eventually([&] { return server_->connections() == 2; }));
  const auto turned_away = client().read_answer();
  ASSERT_TRUE(turned_away);
  EXPECT_EQ(turned_away->status, 503);
  EXPECT_EQ(turned_away->field("Locker-Index"), "2");
  const auto timed_out = slow.ask("GET / HT");
  ASSERT_TRUE(timed_out);
  EXPECT_EQ(timed_out->status, 408);
  EXPECT_EQ(timed_out->field("Locker-Index"), "2");
  const auto refused = one.ask("nonsense\r\n\r\n");
  ASSERT_TRUE(refused);
  EXPECT_EQ(refused->status, 400);
  EXPECT_EQ(refused->field("Locker-Index"), "2");
}

TEST_F(HttpAnswerTest, TheIndexComesBehindTheDate) {
  start();
  const auto answer = client().ask(get("/x"));
  ASSERT_TRUE(answer);
  EXPECT_NE(answer->head.find(" GMT\r\nLocker-Index: 0\r\nContent-Length: 7\r\n"),
            std::string::npos);
}

struct ConnectionCase {
  const char* request;
  const char* connection;  // header field of the answer; "" if it has none
  bool goes_on;
};

TEST_F(HttpAnswerTest, AConnectionGoesOnAsVersionAndConnectionFieldSay) {
  start();
  const ConnectionCase cases[] = {
      {"GET / HTTP/1.1\r\nHost: a\r\n\r\n", "", true},
      {"GET / HTTP/1.1\r\nHost: a\r\nConnection: keep-alive\r\n\r\n", "", true},
      {"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n", "close", false},
      {"GET / HTTP/1.1\r\nHost: a\r\nConnection: TE, CLOSE\r\n\r\n", "close", false},
      {"GET / HTTP/1.1\r\nHost: a\r\nConnection: a\r\nConnection: close\r\n\r\n", "close", false},
      {"GET / HTTP/1.1\r\nHost: a\r\nConnection: upgrade\r\nUpgrade: h2c\r\n\r\n", "", true},
      {"GET / HTTP/1.0\r\n\r\n", "close", false},
      {"GET / HTTP/1.0\r\nHost: a\r\n\r\n", "close", false},
      {"GET / HTTP/1.0\r\nConnection: Keep-Alive\r\n\r\n", "keep-alive", true},
      {"GET / HTTP/1.0\r\nConnection: keep-alive, close\r\n\r\n", "close", false},
  };
  for (const ConnectionCase& each : cases) {
    SCOPED_TRACE(each.request);
    RawClient one = client();
    const auto answer = one.ask(each.request);
    ASSERT_TRUE(answer);
    EXPECT_EQ(answer->status, 200);
    EXPECT_EQ(answer->field("Connection"), each.connection);
    if (each.goes_on) {
      EXPECT_TRUE(one.ask(get("/again")));
    } else {
      EXPECT_TRUE(one.is_at_end());
    }
  }
}

TEST_F(HttpAnswerTest, AClientThatHasShutDownItsSideStillGetsItsAnswers) {
  start();
  RawClient one = client();
  ASSERT_TRUE(one.send(get("/a") + get("/write") + get("/b")));
  one.shut_down_sending();
  EXPECT_EQ(one.read_answer()->body, "GET /a ");
  EXPECT_EQ(one.read_answer()->body, "1");
  EXPECT_EQ(one.read_answer()->body, "GET /b ");
  EXPECT_TRUE(one.is_at_end());
}

TEST_F(HttpAnswerTest, AHandlerThatThrowsGets500AndIsReportedAndTheServerGoesOn) {
  start();
  RawClient one = client();
  ASSERT_TRUE(one.send(get("/before") + get("/throw") + get("/after")));
  EXPECT_EQ(one.read_answer()->body, "GET /before ");
  const auto fault = one.read_answer();
  ASSERT_TRUE(fault);
  EXPECT_EQ(fault->status, 500);
  EXPECT_EQ(fault->field("Connection"), "close");
  EXPECT_NE(fault->body.find(R"("error": "internal_error")"), std::string::npos);
  EXPECT_EQ(one.read_to_end(), "");
  EXPECT_EQ(errors(), std::vector<std::string>{"the handler threw"});
  EXPECT_EQ(client().ask(get("/x"))->status, 200);
}

TEST_F(HttpAnswerTest, TheAccessHookIsToldThePathButNeitherQueryNorFields) {
  std::mutex mutex;
  std::vector<std::string> lines;
  options_.hooks.access = [&](const AccessEntry& entry) {
    const std::lock_guard lock{mutex};
    EXPECT_TRUE(entry.peer.starts_with("127.0.0.1:"));
    EXPECT_GT(entry.bytes, entry.path.size());
    lines.push_back(std::string{entry.method} + ' ' + std::string{entry.path} + ' ' +
                    std::to_string(entry.status));
  };
  start();
  RawClient one = client();
  ASSERT_TRUE(one.ask(get("/nowant/x?token=secret", "Lock-Token: secret\r\n")));
  ASSERT_TRUE(one.ask("nonsense\r\n\r\n"));
  server_->stop();
  EXPECT_EQ(lines, (std::vector<std::string>{"GET /nowant/x 200", "  400"}));
}

}  // namespace
}  // namespace locker::server
