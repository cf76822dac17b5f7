// What is not passed to the handler, and that the connection ends there.
#include "tests/server/http_fixture.hpp"

namespace locker::server {
namespace {

using std::string_literals::operator""s;

class HttpRefusalTest : public HttpTest {
 protected:
  /// Returns the status if the answer is a well-formed refusal and nothing follows it; otherwise 0.
  int refusal_of(const std::string& request) {
    const std::uint64_t calls = handler_.calls;
    RawClient one = client();
    // What follows must never be parsed as a request.
    if (!one.send(request + get("/smuggled"))) return 0;
    const bool to_head = request.starts_with("HEAD ");
    const auto answer = one.read_answer(to_head);
    if (!answer) return 0;
    EXPECT_EQ(answer->field("Connection"), "close");
    EXPECT_EQ(answer->field("Content-Type"), "application/json");
    if (!to_head) {
      EXPECT_TRUE(answer->body.starts_with(R"({"error": ")")) << answer->body;
      EXPECT_NE(answer->body.find(R"(", "message": ")"), std::string::npos) << answer->body;
    }
    EXPECT_EQ(one.read_to_end(), "");
    EXPECT_EQ(handler_.calls, calls);
    return answer->status;
  }
  int status_of(const std::string& request) { return client().ask(request)->status; }
};

struct Refused {
  int status;
  std::string request;
};

std::string with_field(const std::string& field) {
  return "POST / HTTP/1.1\r\nHost: a\r\n" + field + "\r\n\r\n";
}

std::string chunked(const std::string& fields, const std::string& chunks) {
  return "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n" + fields + "\r\n" + chunks;
}

TEST_F(HttpRefusalTest, WhatTwoProgramsCouldReadDifferentlyIsRefused) {
  start();
  const Refused all[] = {
      {411, with_field("Transfer-Encoding: xchunked")},
      {411, with_field("Transfer-Encoding: identity")},
      {411, with_field("Transfer-Encoding: gzip, chunked")},
      {411, with_field("transfer-encoding: chunked\r\nTransfer-Encoding: chunked")},
      {400, with_field("Transfer-Encoding: chunked\r\nContent-Length: 3")},
      {411, with_field("Content-Length: 3\r\nTransfer-Encoding: chunked")},
      {411, "POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n"},
      {400, chunked("Content-Length: 5\r\n", "0\r\n\r\n")},
      {411, chunked("Transfer-Encoding: chunked\r\n", "0\r\n\r\n")},
      {400, chunked("", "")},
      {400, chunked("", "\r\n")},
      {400, chunked("", "0\r\nX: y\r\n\r\n")},
      {400, chunked("", "0;x=y\r\n\r\n")},
      {400, chunked("", "0 \r\n\r\n")},
      {400, chunked("", "0\n\n")},
      {400, chunked("", "0x0\r\n\r\n")},
      {400, chunked("", "-1\r\n")},
      {400, chunked("", "+0\r\n\r\n")},
      {400, chunked("", "000000000\r\n\r\n")},
      {413, chunked("", "ffffffff\r\n")},
      {400, chunked("", "1\r\nab\r\n0\r\n\r\n")},
      {400, chunked("", "2\r\na\r\n0\r\n\r\n")},
      {400, chunked("", "1\r\na0\r\n\r\n")},
      {400, chunked("", "1\r\na\r\n;\r\n")},
      {400, with_field("Transfer-Encoding : chunked")},
      {400, with_field("Content-Length: 0\r\nContent-Length: 0")},
      {400, with_field("Content-Length: 3\r\nContent-Length: 4")},
      {400, with_field("Content-Length: 3, 3")},
      {400, with_field("Content-Length: +3")},
      {400, with_field("Content-Length: -1")},
      {400, with_field("Content-Length: 0x3")},
      {400, with_field("Content-Length: 3 3")},
      {400, with_field("Content-Length:")},
      {400, with_field("Content-Length: 00000000003")},
      {400, with_field("Content-Length: 99999999999999999999")},
      {400, "GET / HTTP/1.1\r\n\r\n"},
      {400, "GET / HTTP/1.1\r\nHost: a\r\nHost: a\r\n\r\n"},
      {400, "GET / HTTP/1.0\r\nHost: a\r\nHost: b\r\n\r\n"},
      {400, with_field("X: a\r\n b")},
      {400, with_field("X: a\r\n\tb")},
      {400, "GET / HTTP/1.1\r\n Host: a\r\n\r\n"},
      {400, "GET / HTTP/1.1\nHost: a\n\n"},
      {400, "GET / HTTP/1.1\r\nHost: a\n\r\n"},
      {400, "\nGET / HTTP/1.1\r\nHost: a\r\n\r\n"},
      {400, "GET / HTTP/1.1\rHost: a\r\n\r\n"},
      {400, with_field("X: a\rb")},
      {400, with_field("X: a\0b"s)},
      {400, with_field("no colon")},
      {400, with_field(": no name")},
      {400, with_field("na me: x")},
      {400, with_field("Lock-Token: a\r\nLock-Token: a")},
      {400, with_field("Authorization: a\r\nauthorization: b")},
      {400, "GET / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\n\r\nx"},
      {400, "HEAD / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\n\r\nx"},
      {400, "DELETE / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\n\r\nx"},
      {400, "GET / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n1\r\n"},
      {417, with_field("Expect: 200-ok")},
      {417, with_field("Expect:")},
  };
  for (const Refused& each : all) EXPECT_EQ(refusal_of(each.request), each.status) << each.request;
}

TEST_F(HttpRefusalTest, ARequestLineThatIsNoneOfOursIsRefused) {
  start();
  const auto line = [](const std::string& text) { return text + "\r\nHost: a\r\n\r\n"; };
  const Refused all[] = {
      {400, line("GET http:///a HTTP/1.1")},
      {400, line("GET http://:80/a HTTP/1.1")},
      {400, line("GET http://me@a/ HTTP/1.1")},
      {400, line("GET http://a?b HTTP/1.1")},
      {400, line("GET http://a/#b HTTP/1.1")},
      {400, line("GET ftp://a/ HTTP/1.1")},
      {400, line("GET http:/a HTTP/1.1")},
      {400, "GET http://a/ HTTP/1.1\r\n\r\n"},
      {400, "GET http://a/ HTTP/1.1\r\nHost: a/b\r\n\r\n"},
      {400, line("CONNECT a:80 HTTP/1.1")},
      {400, line("OPTIONS * HTTP/1.1")},
      {400, line("GET x HTTP/1.1")},
      {400, line("GET /a#b HTTP/1.1")},
      {400, line("GET /\xc3\xa4 HTTP/1.1")},
      {400, line("GET /a\tb HTTP/1.1")},
      {400, line("GET /a\x7f HTTP/1.1")},
      {400, line("GET /a\0b HTTP/1.1"s)},
      {400, line("GET /a b HTTP/1.1")},
      {400, line("GET  / HTTP/1.1")},
      {400, line("GET /")},
      {400, line("GET")},
      {400, line(" GET / HTTP/1.1")},
      {400, line("G@T / HTTP/1.1")},
      {400, line("GET / HTTP/1.1 ")},
      {400, line("GET / http/1.1")},
      {400, line("GET / HTTP/11")},
      {505, line("GET / HTTP/2.0")},
      {505, line("GET / HTTP/1.2")},
      {505, line("GET / HTTP/0.9")},
      {505, "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"},
  };
  for (const Refused& each : all) EXPECT_EQ(refusal_of(each.request), each.status) << each.request;
}

TEST_F(HttpRefusalTest, ALimitIsAllowedAndOneMoreIsNot) {
  start();
  const auto target = [](std::size_t size) { return get("/" + std::string(size - 1, 'x')); };
  EXPECT_EQ(status_of(target(8 * 1024)), 200);
  EXPECT_EQ(refusal_of(target(8 * 1024 + 1)), 414);
  EXPECT_EQ(refusal_of(target(20 * 1024)), 414);

  const auto fields = [](std::size_t count) {
    std::string all;
    for (std::size_t i = 1; i < count; ++i) all += "A: b\r\n";  // Host is another one
    return get("/", all);
  };
  EXPECT_EQ(status_of(fields(64)), 200);
  EXPECT_EQ(refusal_of(fields(65)), 431);

  const auto header = [](std::size_t size) {
    return get("/", "A: " + std::string(size - get("/", "A: \r\n").size(), 'x') + "\r\n");
  };
  ASSERT_EQ(header(1000).size(), 1000U);
  EXPECT_EQ(status_of(header(16 * 1024)), 200);
  EXPECT_EQ(refusal_of(header(16 * 1024 + 1)), 431);

  EXPECT_EQ(status_of("\r\n\r\n\r\n\r\n" + get("/")), 200);
  EXPECT_EQ(refusal_of("\r\n\r\n\r\n\r\n\r\n" + get("/")), 400);
}

TEST_F(HttpRefusalTest, ABodyMayBe64KiBAndALargeOne1MiB) {
  start();
  const auto post = [](const std::string& method, const std::string& target, std::size_t size) {
    return method + " " + target +
           " HTTP/1.1\r\nHost: a\r\nContent-Length: " + std::to_string(size) + "\r\n\r\n" +
           std::string(size, 'b');
  };
  EXPECT_EQ(status_of(post("POST", "/x", 64 * 1024)), 200);
  EXPECT_EQ(refusal_of(post("POST", "/x", 64 * 1024 + 1).substr(0, 200)), 413);
  EXPECT_EQ(status_of(post("POST", "/large", 1024 * 1024)), 200);
  EXPECT_EQ(status_of(post("POST", "/large?a", 1024 * 1024)), 200);
  EXPECT_EQ(refusal_of(post("POST", "/large", 1024 * 1024 + 1).substr(0, 200)), 413);
  EXPECT_EQ(refusal_of(post("PUT", "/large", 64 * 1024 + 1).substr(0, 200)), 413);
  EXPECT_EQ(refusal_of(post("POST", "/large/a", 64 * 1024 + 1).substr(0, 200)), 413);
  EXPECT_EQ(refusal_of(with_field("Content-Length: 9999999999")), 413);
}

TEST_F(HttpRefusalTest, AChunkedBodyMayBeAsLongWithWhatFramesItButForItsLastChunk) {
  start();
  const auto post = [](const std::string& chunks) { return chunked("", chunks); };
  const std::string last = "0\r\n\r\n";
  EXPECT_EQ(status_of(post("10000\r\n" + std::string(0x10000, 'b') + "\r\n" + last)), 200);
  EXPECT_EQ(refusal_of(post("10001\r\n")), 413);
  std::string tiny;
  for (int i = 0; i < 64 * 1024 / 6; ++i) tiny += "1\r\nb\r\n";
  EXPECT_EQ(status_of(post(tiny + last)), 200);
  EXPECT_EQ(refusal_of(post(tiny + tiny.substr(0, 6) + "1\r\n")), 413);
}

TEST_F(HttpRefusalTest, AHeaderWithoutEndIsRefusedWhenItIsTooLargeAndNotKept) {
  start();
  RawClient one = client();
  ASSERT_TRUE(one.send("GET / HTTP/1.1\r\nHost: a\r\nA: " + std::string(16 * 1024, 'x')));
  EXPECT_EQ(one.read_answer()->status, 431);
  RawClient two = client();
  ASSERT_TRUE(two.send(std::string(16 * 1024, 'x')));
  EXPECT_EQ(two.read_answer()->status, 414);
}

TEST_F(HttpRefusalTest, TheRequestsBeforeARefusedOneAreAnswered) {
  start();
  RawClient one = client();
  ASSERT_TRUE(one.send(get("/a") + get("/write") + "nonsense\r\n\r\n" + get("/b")));
  EXPECT_EQ(one.read_answer()->body, "GET /a ");
  EXPECT_EQ(one.read_answer()->body, "1");
  EXPECT_EQ(one.read_answer()->status, 400);
  EXPECT_EQ(one.read_to_end(), "");
}

TEST_F(HttpRefusalTest, ARefusalArrivesAlthoughTheClientGoesOnSending) {
  start();
  RawClient one = client();
  ASSERT_TRUE(one.send(with_field("Content-Length: 65537")));
  for (int i = 0; i < 8; ++i) one.send(std::string(4096, 'b'));
  EXPECT_EQ(one.read_answer()->status, 413);
  EXPECT_TRUE(one.is_at_end());
}

TEST_F(HttpRefusalTest, ARefusalArrivesInTheMiddleOfALargeBody) {
  start();
  RawClient one = client();
  constexpr std::size_t size = 4'000'000;
  ASSERT_TRUE(one.send(with_field("Content-Length: " + std::to_string(size))));
  EXPECT_TRUE(one.send(std::string(size, 'b')));
  const auto answer = one.read_answer();
  ASSERT_TRUE(answer);
  EXPECT_EQ(answer->status, 413);
}

TEST_F(HttpRefusalTest, ExpectContinueIsToldBeforeTheBodyButNotWhenItIsThereOrRefused) {
  start();
  RawClient one = client();
  const std::string head = "POST /x HTTP/1.1\r\nHost: a\r\nExpect: 100-Continue\r\n";
  ASSERT_TRUE(one.send(get("/first") + head + "Content-Length: 3\r\n\r\n"));
  EXPECT_EQ(one.read_answer()->body, "GET /first ");
  EXPECT_EQ(one.read_answer()->head, "HTTP/1.1 100 Continue\r\n");
  ASSERT_TRUE(one.send("a"));
  ASSERT_TRUE(one.send("bc"));
  EXPECT_EQ(one.read_answer()->body, "POST /x abc");
  EXPECT_EQ(one.ask(head + "Content-Length: 3\r\n\r\nabc")->status, 200);
  EXPECT_EQ(one.ask(head + "Content-Length: 65537\r\n\r\n")->status, 413);
}

TEST_F(HttpRefusalTest, ALargeBodyThatIsNotNeededIsNotAwaited) {
  start();
  const std::string head = "POST /bodiless HTTP/1.1\r\nHost: a\r\n";
  const std::string large = "Content-Length: 5000\r\n\r\n";
  const std::string rests[] = {large, large + "ab", "Expect: 100-continue\r\n" + large,
                               "Transfer-Encoding: chunked\r\n\r\n3\r\na"};
  for (const std::string& rest : rests) {
    RawClient one = client();
    ASSERT_TRUE(one.send(get("/first") + head + rest));
    EXPECT_EQ(one.read_answer()->body, "GET /first ") << rest;
    const auto answer = one.read_answer();
    ASSERT_TRUE(answer) << rest;
    EXPECT_EQ(answer->body, "POST /bodiless ") << rest;
    EXPECT_EQ(answer->field("Connection"), "close");
    ASSERT_TRUE(one.send(get("/smuggled")));
    EXPECT_EQ(one.read_to_end(), "") << rest;
  }
  EXPECT_EQ(handler_.calls, 8U);
  RawClient small = client();
  ASSERT_TRUE(small.send(head + "Content-Length: 3\r\n\r\na"));
  EXPECT_EQ(small.ask("bc")->body, "POST /bodiless abc");
}

TEST_F(HttpRefusalTest, AnEarlyAnswerToAHeadHasNoBody) {
  start();
  RawClient one = client();
  ASSERT_TRUE(one.send("HEAD /bodiless HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"));
  const auto answer = one.read_answer(true);
  ASSERT_TRUE(answer);
  EXPECT_EQ(answer->field("Content-Length"), "15");
  EXPECT_EQ(one.read_to_end(), "");
}

}  // namespace
}  // namespace locker::server
