// The requests and answers of a connection, without the connection.
#include "server/http/conversation.hpp"

#include <gtest/gtest.h>

#include <chrono>
#include <memory>
#include <string>
#include <string_view>

#include "server/http/worker.hpp"
#include "tests/server/http_fixture.hpp"
#include "tests/server/later_handler.hpp"

namespace locker::server {
namespace {

struct OpenConnection final : Connection {
  [[nodiscard]] bool has_left() override { return false; }
};

template <typename Handler>
class ConversationFixture : public testing::Test {
 protected:
  void receive(std::string_view bytes) {
    const auto room = input_.room(bytes.size());
    ASSERT_EQ(room.size(), bytes.size());
    bytes.copy(static_cast<char*>(room.data()), bytes.size());
    input_.add(bytes.size());
  }
  /// The output so far, which is then as if sent.
  std::string send() {
    std::string sent = output_.bytes();
    output_.add_sent(sent.size());
    conversation_.finish_round();
    output_.finish();
    return sent;
  }
  static int count(std::string_view text, std::string_view part) {
    int times = 0;
    for (auto at = text.find(part); at != text.npos; at = text.find(part, at + 1)) ++times;
    return times;
  }

  test::GatedJournal journal_;
  GroupCommit commit_{journal_, 0, [](const core::Fault&) {}};
  Handler handler_{commit_};
  net::io_context io_context_{1};
  std::shared_ptr<WorkerMetrics> metrics_ = std::make_shared<WorkerMetrics>();
  Worker worker_{
      io_context_,
      handler_,
      commit_,
      {.limits = {.round_requests_max = 3, .round_bytes_max = 1000}, .metrics = metrics_}};
  SharedCount buffered_{1'000'000};
  InputBuffer input_{8192, buffered_};
  Output output_{8192, buffered_};
  OpenConnection connection_;
  Conversation conversation_{worker_, connection_, input_, output_, "a client", true};
};

using ConversationTest = ConversationFixture<EchoHandler>;

TEST_F(ConversationTest, AnswersInOrderUpToARequestThatIsIncomplete) {
  receive(get("/one") + get("/two") + "GET /three HTTP/1.1\r\nHo");
  EXPECT_TRUE(conversation_.answer_requests());
  EXPECT_FALSE(conversation_.is_round_full());
  const std::string sent = send();
  EXPECT_EQ(count(sent, "HTTP/1.1 200 OK\r\n"), 2);
  EXPECT_LT(sent.find("GET /one"), sent.find("GET /two"));
  EXPECT_FALSE(conversation_.answer_requests()) << "nothing more has come";
  EXPECT_TRUE(output_.is_empty());
  receive("st: x\r\n\r\n");
  EXPECT_TRUE(conversation_.answer_requests());
  EXPECT_TRUE(send().ends_with("GET /three "));
  EXPECT_FALSE(conversation_.has_ended());
}

TEST_F(ConversationTest, ARoundHasItsMaximum) {
  receive(get("/1") + get("/2") + get("/3") + get("/4"));
  EXPECT_TRUE(conversation_.answer_requests());
  EXPECT_TRUE(conversation_.is_round_full());
  EXPECT_EQ(count(send(), "HTTP/1.1 200"), 3);
  EXPECT_TRUE(conversation_.answer_requests());
  EXPECT_FALSE(conversation_.is_round_full());
  EXPECT_EQ(count(send(), "HTTP/1.1 200"), 1);
}

TEST_F(ConversationTest, ARoundHasItsMaximumOfBytes) {
  receive(get("/big/1000") + get("/2"));
  EXPECT_TRUE(conversation_.answer_requests());
  EXPECT_TRUE(conversation_.is_round_full());
  EXPECT_EQ(count(send(), "HTTP/1.1 200"), 1);
}

TEST_F(ConversationTest, ThePeerEndsIt) {
  receive(get("/one", "Connection: close\r\n") + get("/two"));
  EXPECT_TRUE(conversation_.answer_requests());
  EXPECT_TRUE(conversation_.has_ended());
  EXPECT_FALSE(conversation_.has_refused());
  EXPECT_FALSE(conversation_.answer_requests());
  const std::string sent = send();
  EXPECT_EQ(count(sent, "HTTP/1.1 "), 1);
  EXPECT_EQ(count(sent, "Connection: close\r\n"), 1);
}

TEST_F(ConversationTest, ARefusalEndsIt) {
  receive("GET /without-host HTTP/1.1\r\n\r\n" + get("/two"));
  EXPECT_FALSE(conversation_.answer_requests());
  EXPECT_TRUE(conversation_.has_ended());
  EXPECT_TRUE(conversation_.has_refused());
  const std::string sent = send();
  EXPECT_TRUE(sent.starts_with("HTTP/1.1 400 Bad Request\r\n")) << sent;
  EXPECT_EQ(count(sent, "HTTP/1.1 "), 1);
  EXPECT_EQ(handler_.calls, 0U);
}

TEST_F(ConversationTest, AHandlerThatThrowsEndsIt) {
  receive(get("/throw") + get("/two"));
  EXPECT_TRUE(conversation_.answer_requests());
  EXPECT_TRUE(conversation_.has_refused());
  const std::string sent = send();
  EXPECT_TRUE(sent.starts_with("HTTP/1.1 500 ")) << sent;
  EXPECT_EQ(count(sent, "HTTP/1.1 "), 1);
  EXPECT_EQ(count(sent, "half an answer"), 0);
  EXPECT_EQ(handler_.calls, 1U);
}

TEST_F(ConversationTest, ARefusalOfAnUnreadHeadHasNoBody) {
  receive("HEAD /never-completed HTTP/1.1\r\n");
  EXPECT_FALSE(conversation_.answer_requests());
  conversation_.refuse_unread({408, "too_slow", "Send it faster."});
  EXPECT_TRUE(send().ends_with("\r\n\r\n"));
  EXPECT_TRUE(conversation_.has_refused());
}

TEST_F(ConversationTest, ADrainEndsItWithTheLastRequest) {
  worker_.drain(std::chrono::milliseconds{0});
  receive(get("/one") + get("/two"));
  EXPECT_TRUE(conversation_.answer_requests());
  const std::string sent = send();
  EXPECT_EQ(count(sent, "HTTP/1.1 200"), 2);
  EXPECT_EQ(count(sent, "Connection: close\r\n"), 1);
  EXPECT_TRUE(conversation_.has_ended());
}

TEST_F(ConversationTest, ItsOutputWaitsForTheHighestIndex) {
  receive(get("/write") + get("/write") + get("/one"));
  EXPECT_TRUE(conversation_.answer_requests());
  EXPECT_EQ(output_.awaited(), 2U);
}

class OverLimitTest : public ConversationTest {
 protected:
  [[nodiscard]] std::uint64_t turned_away() const { return metrics_->turned_away.value(); }

  Conversation turned_away_{worker_, connection_, input_, output_, "a client", false};
};

TEST_F(OverLimitTest, AProbeIsAnswered) {
  receive("GET /healthz HTTP/1.1\r\n");
  EXPECT_FALSE(turned_away_.answer_requests());
  EXPECT_TRUE(output_.is_empty()) << "may become one";
  receive("Host: x\r\n\r\n");
  EXPECT_TRUE(turned_away_.answer_requests());
  EXPECT_TRUE(turned_away_.has_ended());
  EXPECT_TRUE(output_.bytes().starts_with("HTTP/1.1 200 OK\r\n"));
  EXPECT_EQ(turned_away(), 0U);
  receive(get("/healthz"));
  EXPECT_FALSE(turned_away_.answer_requests()) << "one is enough";
  EXPECT_EQ(handler_.calls, 1U);
}

TEST_F(OverLimitTest, NothingElseIs) {
  receive(get("/write"));
  EXPECT_FALSE(turned_away_.answer_requests());
  EXPECT_TRUE(turned_away_.has_refused());
  EXPECT_TRUE(output_.bytes().starts_with("HTTP/1.1 503 ")) << output_.bytes();
  EXPECT_EQ(turned_away(), 1U);
  EXPECT_EQ(handler_.calls, 0U);
}

using LaterConversationTest = ConversationFixture<LaterHandler>;

TEST_F(LaterConversationTest, RequestsAfterOneThatIsPendingWaitForItsAnswer) {
  receive(get("/one") + get("/pend") + get("/two"));
  EXPECT_TRUE(conversation_.answer_requests());
  const auto pending = conversation_.take_pending();
  ASSERT_NE(pending, nullptr);
  EXPECT_EQ(conversation_.take_pending(), nullptr);
  EXPECT_EQ(count(send(), "HTTP/1.1 200"), 1);
  EXPECT_FALSE(conversation_.answer_requests());
  EXPECT_EQ(handler_.calls, 2);
  conversation_.finish_pending(*pending);
  EXPECT_TRUE(conversation_.answer_requests());
  const std::string sent = send();
  EXPECT_EQ(count(sent, "HTTP/1.1 200"), 2);
  EXPECT_LT(sent.find("/pend"), sent.find("/two"));
}

TEST_F(LaterConversationTest, WhatWaitedTookAsLongAsSinceItsRequestCame) {
  const auto seconds = [this](CallKind call) {
    DurationHistogram::Counts counts;
    metrics_->durations[index_of(call)].add_to(counts);
    return counts.sum / 1'000'000'000;
  };
  conversation_.begin_round(SteadyClock::now() - std::chrono::seconds{1000});
  receive(get("/pend"));
  EXPECT_TRUE(conversation_.answer_requests());
  const auto pending = conversation_.take_pending();
  ASSERT_NE(pending, nullptr);
  conversation_.begin_round(SteadyClock::now() - std::chrono::seconds{10});
  conversation_.finish_pending(*pending);
  receive(get("/one"));
  EXPECT_TRUE(conversation_.answer_requests());
  static_cast<void>(send());
  EXPECT_GE(seconds(CallKind::waited), 1000U);
  EXPECT_GE(seconds(CallKind::other), 10U);
  EXPECT_LT(seconds(CallKind::other), 1000U);
}

TEST_F(LaterConversationTest, APendingAnswerThatThrowsEndsIt) {
  receive(get("/throws") + get("/two"));
  EXPECT_TRUE(conversation_.answer_requests());
  const auto pending = conversation_.take_pending();
  ASSERT_NE(pending, nullptr);
  conversation_.finish_pending(*pending);
  EXPECT_TRUE(conversation_.has_refused());
  EXPECT_TRUE(send().starts_with("HTTP/1.1 500 "));
  EXPECT_EQ(handler_.deliveries.lost, 1);
}

TEST_F(LaterConversationTest, APendingRequestCanBeRefused) {
  receive(get("/pend") + get("/two"));
  EXPECT_TRUE(conversation_.answer_requests());
  ASSERT_NE(conversation_.take_pending(), nullptr);
  conversation_.refuse_pending({503, "draining", "The server is stopping."});
  EXPECT_TRUE(conversation_.has_ended());
  EXPECT_FALSE(conversation_.has_refused());
  EXPECT_FALSE(conversation_.answer_requests());
  const std::string sent = send();
  EXPECT_TRUE(sent.starts_with("HTTP/1.1 503 "));
  EXPECT_EQ(count(sent, "Connection: close\r\n"), 1);
}

TEST_F(LaterConversationTest, NothingIsAnsweredBehindAStream) {
  receive(get("/stream") + get("/two"));
  EXPECT_TRUE(conversation_.answer_requests());
  const auto stream = conversation_.take_stream();
  ASSERT_NE(stream, nullptr);
  EXPECT_FALSE(conversation_.has_ended()) << "its pieces follow";
  EXPECT_TRUE(send().ends_with("\r\n\r\n"));
  EXPECT_FALSE(conversation_.answer_requests());
  EXPECT_TRUE(output_.is_empty());
  EXPECT_EQ(handler_.calls, 1);
}

TEST_F(LaterConversationTest, AStreamForAHeadIsItsHeader) {
  receive("HEAD /stream HTTP/1.1\r\nHost: x\r\n\r\n");
  EXPECT_TRUE(conversation_.answer_requests());
  EXPECT_EQ(conversation_.take_stream(), nullptr);
  EXPECT_TRUE(conversation_.has_ended());
  EXPECT_TRUE(handler_.channel(0)->is_gone());
}

}  // namespace
}  // namespace locker::server
