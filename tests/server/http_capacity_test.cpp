// More connections or open files than the limits allow; ports that are in use.
#include <fcntl.h>
#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <csignal>

#include "tests/server/http_fixture.hpp"
#include "tests/server/tls_fixture.hpp"

namespace locker::server {
namespace {

class HttpCapacityTest : public HttpTest {};

TEST_F(HttpCapacityTest, OneConnectionTooManyGets503AndTheOthersGoOn) {
  options_.connections_max = 2;
  start();
  RawClient first = client();
  RawClient second = client();
  ASSERT_TRUE(first.ask(get("/")));
  ASSERT_TRUE(second.ask(get("/")));
  RawClient third = client();
  const auto answer = third.ask(get("/"));
  ASSERT_TRUE(answer);
  EXPECT_EQ(answer->status, 503);
  EXPECT_EQ(answer->field("Retry-After"), "1");
  EXPECT_EQ(answer->field("Connection"), "close");
  EXPECT_NE(answer->body.find(R"("error": "too_many_connections")"), std::string::npos);
  EXPECT_NE(answer->body.find("--connections-max"), std::string::npos);
  EXPECT_TRUE(first.ask(get("/")));
  EXPECT_EQ(handler_.calls, 3U);
}

TEST_F(HttpCapacityTest, OverTheLimitProbesAreAnsweredAndNothingElse) {
  options_.connections_max = 1;
  options_.limits.over_limit = std::chrono::minutes{10};
  std::atomic<int> turned_away = 0;
  options_.hooks.turned_away = [&turned_away] { turned_away.fetch_add(1); };
  start();
  RawClient inside = client();
  ASSERT_TRUE(inside.ask(get("/")));
  for (const std::string target : {"/healthz", "/healthz?verbose", "http://a/healthz"}) {
    RawClient one = client();
    const auto answer = one.ask(get(target));
    ASSERT_TRUE(answer) << target;
    EXPECT_EQ(answer->status, 200) << target;
    EXPECT_EQ(answer->field("Connection"), "close");
    EXPECT_TRUE(one.is_at_end());
  }
  RawClient in_pieces = client();
  ASSERT_TRUE(in_pieces.send("HEAD /healthz HTTP/1.1\r\nHo"));
  ASSERT_TRUE(in_pieces.send("st: a\r\n\r\n"));
  EXPECT_EQ(in_pieces.read_answer(true)->status, 200);
  EXPECT_EQ(turned_away, 0);

  const std::string refused[] = {get("/"),
                                 get("/healthz/x"),
                                 get("/v1/metrics"),
                                 "nonsense\r\n\r\n",
                                 "\r\n" + get("/healthz"),
                                 "POST /healthz HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\n",
                                 get("/healthz", "X: " + std::string(8'000, 'x') + "\r\n")};
  const std::uint64_t calls = handler_.calls;
  for (const std::string& request : refused) {
    RawClient one = client();
    const auto answer = one.ask(request);
    ASSERT_TRUE(answer) << request;
    EXPECT_EQ(answer->status, 503) << request;
    EXPECT_NE(answer->body.find("too_many_connections"), std::string::npos);
    EXPECT_TRUE(one.is_at_end());
  }
  EXPECT_EQ(handler_.calls, calls);
  EXPECT_EQ(turned_away, 7);
}

TEST_F(HttpCapacityTest, WhoIsOverTheLimitAndAsksNothingGets503AfterAMoment) {
  options_.connections_max = 0;
  options_.limits.tick = options_.limits.over_limit = std::chrono::milliseconds{5};
  start();
  RawClient silent = client();
  EXPECT_EQ(silent.read_answer()->status, 503);
  EXPECT_TRUE(silent.is_at_end());
  RawClient slow = client();
  ASSERT_TRUE(slow.send("GET /healthz HTTP/1.1\r\n"));
  EXPECT_EQ(slow.read_answer()->status, 503);
  EXPECT_TRUE(slow.is_at_end());
}

/// No connection is within the limit, and a handshake comes before every answer.
class TlsCapacityTest : public HttpTest {
 protected:
  TlsCapacityTest() {
    std::signal(SIGPIPE, SIG_IGN);
    options_.connections_max = 0;
    options_.limits.tick = options_.limits.over_limit = std::chrono::milliseconds{5};
    options_.limits.write_progress = std::chrono::minutes{10};
    options_.metrics = &metrics_;
    options_.tls = loaded_context();
  }
  ~TlsCapacityTest() override { server_.reset(); }

  HttpMetrics metrics_;
};

TEST_F(TlsCapacityTest, WhoSpeaksWithoutTlsAfterItsTimeIsUpHarmsNobody) {
  start();
  for (unsigned late_ones = 1; late_ones <= 20; ++late_ones) {
    RawClient late = client();
    ASSERT_TRUE(eventually([&] { return metrics_.totals().turned_away == late_ones; }));
    static_cast<void>(late.send(get("/")));
    EXPECT_EQ(late.read_to_end(), "");
  }
  EXPECT_TRUE(eventually([&] {
    const auto answer = client().ask(get("/"));
    return answer && answer->body.find("https_only") != std::string::npos;
  }));
}

TEST_F(TlsCapacityTest, WhoBeginsNoHandshakeIsClosedAfterAMoment) {
  start();
  EXPECT_TRUE(client().is_at_end());
  EXPECT_EQ(metrics_.totals().turned_away, 1U);
  EXPECT_EQ(metrics_.totals().answers[index_of(CallKind::unreadable)][4], 0U);
  options_.limits.heard_max = 0;
  start();
  EXPECT_TRUE(client().is_at_end());
}

TEST_F(HttpCapacityTest, OfThoseOverTheLimitOnlySoManyAreHeardAtATime) {
  options_.connections_max = 0;
  options_.limits.heard_max = 1;
  options_.limits.over_limit = std::chrono::minutes{10};
  start();
  for (int i = 0; i < 5; ++i) {
    RawClient heard = client();
    EXPECT_EQ(client().read_answer()->status, 503);  // immediately, whatever it would have asked
    EXPECT_EQ(heard.ask(get("/healthz"))->status, 200);
  }
  { const RawClient gone = client(); }
  EXPECT_TRUE(eventually([&] {
    const auto answer = client().ask(get("/healthz"));
    return answer && answer->status == 200;
  }));
}

TEST(SharedCount, NeverShowsMoreThanThereMayBe) {
  SharedCount count{1};
  ASSERT_TRUE(count.add());
  std::atomic<std::uint64_t> refused = 0;
  std::atomic<bool> is_over = false;
  std::thread other{[&] {
    while (!is_over) {
      if (!count.add()) refused.fetch_add(1);
    }
  }};
  std::size_t most = 0;
  while (refused < 1'000'000) most = std::max(most, count.value());
  is_over = true;
  other.join();
  EXPECT_EQ(most, 1U);
}

TEST_F(HttpCapacityTest, AClosedConnectionMakesRoom) {
  options_.connections_max = 1;
  start();
  for (int i = 0; i < 20; ++i) {
    EXPECT_EQ(client().ask(get("/"))->status, 200);
    ASSERT_TRUE(eventually([&] { return server_->connections() == 0; }));
  }
}

TEST_F(HttpCapacityTest, ThoseTurnedAwayMakeRoomForOthersToBeTurnedAway) {
  options_.connections_max = 0;
  options_.limits.turned_away_max = 2;
  options_.limits.tick = options_.limits.over_limit = std::chrono::milliseconds{5};
  start();
  for (int i = 0; i < 20; ++i) {
    RawClient one = client();
    EXPECT_TRUE(eventually([&] {
      RawClient again = client();
      const auto answer = again.read_answer();
      return answer && answer->status == 503;
    }));
  }
}

TEST_F(HttpCapacityTest, UnfinishedRequestsTakeALimitedAmountOfMemoryTogether) {
  options_.limits.buffered_max = 100'000;
  start();
  const std::string head = "POST /x HTTP/1.1\r\nHost: a\r\nContent-Length: 60000\r\n\r\n";
  std::vector<RawClient> all;
  for (int i = 0; i < 2; ++i) {
    all.push_back(client());
    ASSERT_TRUE(all.back().send(head + std::string(59'999, 'b')));
  }
  ASSERT_TRUE(eventually([&] { return server_->buffered() >= 100'000; }));
  RawClient another = client();
  ASSERT_TRUE(another.send(head + std::string(59'999, 'b')));
  const auto refused = another.read_answer();
  ASSERT_TRUE(refused);
  EXPECT_EQ(refused->status, 503);
  EXPECT_EQ(refused->field("Retry-After"), "1");
  EXPECT_EQ(refused->field("Connection"), "close");
  EXPECT_NE(refused->body.find(R"("error": "too_many_unfinished")"), std::string::npos);
  EXPECT_EQ(client().ask(get("/small"))->status, 200);

  for (RawClient& each : all) EXPECT_EQ(each.ask("b")->body.size(), 60'000 + 8U);
  EXPECT_TRUE(eventually([&] { return server_->buffered() == 0; }));
  EXPECT_EQ(client().ask(head + std::string(60'000, 'b'))->status, 200);
}

TEST_F(HttpCapacityTest, AnswersThatNobodyTakesUseALimitedAmountOfMemoryTogether) {
  options_.limits.buffered_max = 100'000;
  start();
  const std::string large = get("/big/30000000");
  RawClient first = client();
  ASSERT_TRUE(first.send(large));
  ASSERT_TRUE(eventually([&] { return server_->buffered() >= 30'000'000; }));
  RawClient second = client();
  ASSERT_TRUE(second.send(large));
  EXPECT_LT(second.read_to_end().size(), 30'000'000U);
  EXPECT_EQ(client().ask(get("/small"))->status, 200);

  EXPECT_EQ(first.read_answer()->body.size(), 30'000'000U);
  EXPECT_TRUE(eventually([&] { return server_->buffered() == 0; }));
  EXPECT_EQ(first.ask(large)->body.size(), 30'000'000U);
}

TEST_F(HttpCapacityTest, TheKernelKeepsLittleOfWhatNobodyTakes) {
  start();
  RawClient one = client();
  ASSERT_TRUE(one.send(get("/big/1000000")));
  EXPECT_TRUE(eventually([&] { return server_->buffered() >= 1'000'000; }));
  EXPECT_EQ(one.read_answer()->body.size(), 1'000'000U);
}

TEST_F(HttpCapacityTest, WhoLeavesGivesBackTheMemoryThatItUsed) {
  options_.limits.buffered_max = 100'000;
  start();
  {
    RawClient sending = client();
    ASSERT_TRUE(sending.send("POST /x HTTP/1.1\r\nHost: a\r\nContent-Length: 60000\r\n\r\n" +
                             std::string(59'999, 'b')));
    ASSERT_TRUE(eventually([&] { return server_->buffered() > 50'000; }));
    RawClient reading = client();
    ASSERT_TRUE(reading.send(get("/big/30000000")));
    ASSERT_TRUE(eventually([&] { return server_->buffered() > 30'000'000; }));
  }
  EXPECT_TRUE(eventually([&] { return server_->buffered() == 0; }));
}

/// Uses up all file descriptors of this process until its end.
class NoDescriptors {
 public:
  NoDescriptors() {
    ::getrlimit(RLIMIT_NOFILE, &before_);
    rlimit low = before_;
    low.rlim_cur = 256;
    ::setrlimit(RLIMIT_NOFILE, &low);
    for (int one = 0; (one = ::open("/dev/null", O_RDONLY | O_CLOEXEC)) >= 0;) {
      taken_.push_back(one);
    }
  }
  ~NoDescriptors() {
    for (const int one : taken_) ::close(one);
    ::setrlimit(RLIMIT_NOFILE, &before_);
  }
  NoDescriptors(const NoDescriptors&) = delete;
  NoDescriptors& operator=(const NoDescriptors&) = delete;

 private:
  rlimit before_{};
  std::vector<int> taken_;
};

TEST_F(HttpCapacityTest, WithoutFileDescriptorsClientsAreTurnedAwayAndLaterServedAgain) {
  options_.limits.accept_pause = std::chrono::milliseconds{5};
  start();
  RawClient before = client();
  ASSERT_TRUE(before.ask(get("/")));
  RawClient first;
  RawClient second;
  {
    const NoDescriptors none;
    for (RawClient* const each : {&first, &second}) {
      each->connect(port());
      const auto answer = each->read_answer();
      ASSERT_TRUE(answer);
      EXPECT_EQ(answer->status, 503);
      EXPECT_TRUE(each->is_at_end());
    }
    EXPECT_TRUE(before.ask(get("/")));
  }
  EXPECT_EQ(client().ask(get("/"))->status, 200);
}

TEST_F(HttpCapacityTest, ATakenPortIsRefusedWithOneWorkerAndWithMany) {
  start();
  for (const unsigned threads : {1U, 2U}) {
    options_.threads = threads;
    HttpServer other{handler_, commit_, options_};
    EXPECT_EQ(other.start(server_->endpoint()), net::error::address_in_use);
  }
}

TEST_F(HttpCapacityTest, APortServedByManyWorkersIsRefusedToo) {
  options_.threads = 2;
  start();
  HttpServer other{handler_, commit_, options_};
  EXPECT_EQ(other.start(server_->endpoint()), net::error::address_in_use);
  EXPECT_TRUE(client().ask(get("/")));
}

TEST_F(HttpCapacityTest, AnAddressThatIsNotOursIsRefused) {
  HttpServer other{handler_, commit_, options_};
  EXPECT_TRUE(other.start({net::ip::make_address("192.0.2.1"), 0}));
}

TEST_F(HttpCapacityTest, ThePortIsFreeAgainAfterAStop) {
  options_.threads = 2;
  start();
  ASSERT_TRUE(client().ask(get("/", "Connection: close\r\n")));
  const tcp::endpoint endpoint = server_->endpoint();
  server_->stop();
  HttpServer next{handler_, commit_, options_};
  EXPECT_FALSE(next.start(endpoint));
}

TEST_F(HttpCapacityTest, TheIpv6WildcardTakesIpv4Too) {
  server_ = std::make_unique<HttpServer>(handler_, commit_, options_);
  if (server_->start({net::ip::address_v6::any(), 0})) GTEST_SKIP() << "no IPv6 here";
  EXPECT_EQ(client().ask(get("/"))->status, 200);
}

}  // namespace
}  // namespace locker::server
