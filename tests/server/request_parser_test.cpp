#include "server/http/request_parser.hpp"

#include <gtest/gtest.h>

#include <memory>
#include <string>

namespace locker::server {
namespace {

using Outcome = RequestParser::Outcome;

class LargeBodyHandler final : public RequestHandler {
 public:
  void answer(const Request&, Response&) override {}
  [[nodiscard]] Treatment treatment_of(Method, const RequestTarget& target) const override {
    return {.has_large_body = target.path == "/large"};
  }
};
const LargeBodyHandler handler;

TEST(RequestParser, KeepsWhatTheHandlerNeeds) {
  const HttpLimits limits;
  RequestParser parser{limits, handler};
  const std::string bytes =
      "DELETE /a?b=c HTTP/1.1\r\nHost: h\r\nlock-TOKEN:  t \r\nAuthorization: Bearer x\r\n"
      "Content-Type: application/json\r\nAccept: */*\r\nLast-Event-ID: 7\r\n"
      "Sec-Fetch-Site: cross-site\r\nPurpose: prefetch\r\nX: y\r\n\r\nrest";
  ASSERT_EQ(parser.parse(bytes), Outcome::complete);
  const Request& request = parser.request();
  EXPECT_EQ(request.method, Method::delete_);
  EXPECT_EQ(request.method_name, "DELETE");
  EXPECT_EQ(request.target.text, "/a?b=c");
  EXPECT_EQ(request.lock_token, "t");
  EXPECT_EQ(request.authorization, "Bearer x");
  EXPECT_EQ(request.content_type, "application/json");
  EXPECT_EQ(request.accept, "*/*");
  EXPECT_EQ(request.last_event_id, "7");
  EXPECT_EQ(request.sec_fetch_site, "cross-site");
  EXPECT_EQ(request.sec_purpose, "prefetch");
  EXPECT_EQ(request.body, "");
  EXPECT_EQ(parser.size(), bytes.size() - 4);
}

TEST(RequestParser, AnotherProtocolIsRefusedBeforeItsTimeIsUp) {
  const HttpLimits limits;
  for (const std::string& bytes : {std::string{"\x16\x03\x01\x02\x00\x01", 6}, std::string{"\0", 1},
                                   std::string{" GET / "}, std::string{"SSH-2.0-OpenSSH_9\r\n"},
                                   std::string{"*1\r\n$4\r\nPING\r\n"}, std::string{"GET /\r\n"}}) {
    RequestParser parser{limits, handler};
    ASSERT_EQ(parser.parse(bytes), Outcome::refused) << bytes;
    EXPECT_EQ(parser.refusal().status, 400U);
  }
}

TEST(RequestParser, AHostIsANameOrAnAddressAndPerhapsAPort) {
  const HttpLimits limits;
  const auto parse_with = [&limits](const std::string& host) {
    RequestParser parser{limits, handler};
    return parser.parse("GET / HTTP/1.1\r\nHost: " + host + "\r\n\r\n");
  };
  for (const std::string_view host :
       {"", "h", "locker.internal", "a_b-c~1:8765", "127.0.0.1:1", "[::1]", "[::1]:8765",
        "h:", "[fe80::1%eth0]:80", "caf%C3%A9", "a!$&'()*+,;=b"}) {
    EXPECT_EQ(parse_with(std::string{host}), Outcome::complete) << host;
  }
  for (const std::string_view host :
       {"a b",    "a/c",   "a b/c",       "h:8x",  "h:1:2", "::1",    "[::1",
        "[::1]x", "[a b]", "[::1]:x",     "me@h",  "h?x",   "h#x",    "a%",
        "a%zz",   "h\\x",  "caf\xC3\xA9", "\"h\"", "<h>",   "h,[::1]"}) {
    EXPECT_EQ(parse_with(std::string{host}), Outcome::refused) << host;
  }
}

TEST(RequestParser, OfAnAbsoluteTargetTheAuthorityCountsAndNotTheHost) {
  const HttpLimits limits;
  struct Absolute {
    std::string_view sent, target, host;
  };
  for (const auto& [sent, target, host] : {Absolute{"http://h:8765/a/b?c=d", "/a/b?c=d", "h:8765"},
                                           {"HTTPS://[::1]/", "/", "[::1]"},
                                           {"http://h", "/", "h"},
                                           {"http://h//a", "//a", "h"},
                                           {"http://h/a?b=http://x/", "/a?b=http://x/", "h"}}) {
    for (const char* const fields : {"Host: other\r\n", "Host:\r\n"}) {
      RequestParser parser{limits, handler};
      const std::string bytes = "GET " + std::string{sent} + " HTTP/1.1\r\n" + fields + "\r\n";
      ASSERT_EQ(parser.parse(bytes), Outcome::complete) << sent;
      EXPECT_EQ(parser.request().target.text, target);
      EXPECT_EQ(parser.request().host, host);
      EXPECT_EQ(parser.size(), bytes.size());
    }
  }
}

TEST(RequestParser, AnAbsoluteTargetAllowsTheSameBodies) {
  const HttpLimits limits;
  const std::string length = std::to_string(limits.large_body_max);
  RequestParser parser{limits, handler};
  EXPECT_EQ(parser.parse("POST http://h/large HTTP/1.1\r\nHost: h\r\nContent-Length: " + length +
                         "\r\n\r\n"),
            Outcome::incomplete);
}

TEST(RequestParser, SecPurposeGoesBeforePurpose) {
  const HttpLimits limits;
  for (const char* const fields :
       {"Purpose: a\r\nSec-Purpose: prefetch\r\n", "Sec-Purpose: prefetch\r\nPurpose: a\r\n"}) {
    RequestParser parser{limits, handler};
    const std::string bytes = std::string{"GET / HTTP/1.1\r\nHost: h\r\n"} + fields + "\r\n";
    ASSERT_EQ(parser.parse(bytes), Outcome::complete);
    EXPECT_EQ(parser.request().sec_purpose, "prefetch");
  }
}

TEST(RequestParser, AnEmptyLineMayComeInTwoPieces) {
  const HttpLimits limits;
  RequestParser parser{limits, handler};
  EXPECT_EQ(parser.parse("\r"), Outcome::incomplete);
  EXPECT_EQ(parser.parse("\r\n"), Outcome::empty_line);
  EXPECT_EQ(parser.parse("G"), Outcome::incomplete);
  EXPECT_EQ(parser.parse("GET / HTTP/1.1\r\nHost: h\r\n\r\n"), Outcome::complete);
}

TEST(RequestParser, NothingOfARequestIsLeftInTheNext) {
  const HttpLimits limits;
  RequestParser parser{limits, handler};
  const std::string first =
      "POST / HTTP/1.0\r\nLock-Token: t\r\nConnection: close\r\nContent-Length: 2\r\n\r\nab";
  ASSERT_EQ(parser.parse(first), Outcome::complete);
  parser.next();
  const std::string second = "GET /x HTTP/1.1\r\nHost: h\r\n\r\n";
  ASSERT_EQ(parser.parse(second), Outcome::complete);
  EXPECT_EQ(parser.request().lock_token.data(), nullptr);
  EXPECT_EQ(parser.request().body, "");
  EXPECT_TRUE(parser.keep_alive());
  EXPECT_FALSE(parser.is_http_1_0());
}

/// A buffer of exactly this size, so that AddressSanitizer detects a view into an older one and a
/// read one byte too far.
struct Piece {
  explicit Piece(std::string_view text) : bytes(new char[text.size()]), size(text.size()) {
    text.copy(bytes.get(), size);
  }
  [[nodiscard]] std::string_view view() const { return {bytes.get(), size}; }
  std::unique_ptr<char[]> bytes;
  std::size_t size;
};

void expect_the_same_in_three_pieces(const std::string& bytes) {
  const HttpLimits limits;
  for (std::size_t first = 0; first < bytes.size(); ++first) {
    for (std::size_t second = first; second < bytes.size(); ++second) {
      RequestParser parser{limits, handler};
      ASSERT_EQ(parser.parse(Piece{bytes.substr(0, first)}.view()), Outcome::incomplete) << first;
      ASSERT_EQ(parser.parse(Piece{bytes.substr(0, second)}.view()), Outcome::incomplete);
      const Piece whole{bytes};
      ASSERT_EQ(parser.parse(whole.view()), Outcome::complete) << first << ' ' << second;
      EXPECT_EQ(parser.size(), bytes.size());
      EXPECT_EQ(parser.request().target.path, "/a");
      EXPECT_EQ(parser.request().accept, "x");
      EXPECT_EQ(parser.request().body, "body");
    }
  }
}

TEST(RequestParser, ARequestIsTheSameWhereverItIsCutInThree) {
  expect_the_same_in_three_pieces(
      "POST /a HTTP/1.1\r\nHost: h\r\nContent-Length: 4\r\nAccept: x\r\n\r\nbody");
}

TEST(RequestParser, SoIsOneWhoseBodyComesInChunks) {
  expect_the_same_in_three_pieces(
      "POST /a HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: Chunked\r\nAccept: x\r\n\r\n"
      "1\r\nb\r\n003\r\nody\r\n00\r\n\r\n");
}

TEST(RequestParser, WhatFollowsAChunkedBodyIsTheNextRequest) {
  const HttpLimits limits;
  RequestParser parser{limits, handler};
  const std::string head =
      "POST /a HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\nLock-Token: t\r\n\r\n";
  const std::string first = head + "A\r\n0\r\n\r\nGET /\r\n0\r\n\r\n";
  const std::string second = head + "0\r\n\r\n";
  const std::string third = "POST /c HTTP/1.1\r\nHost: h\r\nContent-Length: 2\r\n\r\nab";
  std::string bytes = first + second + third;
  ASSERT_EQ(parser.parse(bytes), Outcome::complete);
  EXPECT_EQ(parser.size(), first.size());
  EXPECT_EQ(parser.request().body, "0\r\n\r\nGET /");
  parser.next();
  bytes.erase(0, first.size());
  ASSERT_EQ(parser.parse(bytes), Outcome::complete);
  EXPECT_EQ(parser.size(), second.size());
  EXPECT_EQ(parser.request().body, "");
  parser.next();
  bytes.erase(0, second.size());
  ASSERT_EQ(parser.parse(bytes), Outcome::complete);
  EXPECT_EQ(parser.size(), third.size());
  EXPECT_EQ(parser.request().body, "ab");
  EXPECT_EQ(parser.request().lock_token, "");
}

TEST(RequestParser, AFaultyChunkIsFoundWithTheByteThatMakesItOne) {
  const HttpLimits limits;
  const std::string head = "POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n";
  for (const char* const chunks : {";", "\n", "1;", "1\n", "1\r1", "000000001", "1\r\nab",
                                   "1\r\na\rb", "0\r\nX", "0\r\n\rX"}) {
    RequestParser parser{limits, handler};
    const std::string bytes = head + chunks;
    for (std::size_t size = 0; size < bytes.size(); ++size) {
      ASSERT_EQ(parser.parse(Piece{bytes.substr(0, size)}.view()), Outcome::incomplete) << chunks;
    }
    EXPECT_EQ(parser.parse(bytes), Outcome::refused) << chunks;
    EXPECT_EQ(parser.refusal().status, 400U);
  }
}

TEST(RequestParser, AFaultIsFoundWithTheByteThatMakesItOne) {
  const HttpLimits limits;
  const std::string bytes = "GET / HTTP/1.1\r\nHost: h\n";
  RequestParser parser{limits, handler};
  for (std::size_t size = 0; size < bytes.size(); ++size) {
    ASSERT_EQ(parser.parse(Piece{bytes.substr(0, size)}.view()), Outcome::incomplete);
  }
  EXPECT_EQ(parser.parse(bytes), Outcome::refused);
  EXPECT_EQ(parser.refusal().status, 400U);
}

}  // namespace
}  // namespace locker::server
