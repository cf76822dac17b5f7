#include "client/library/lock.hpp"

#include <gtest/gtest.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <exception>
#include <filesystem>
#include <future>
#include <memory>
#include <optional>
#include <string>
#include <system_error>
#include <thread>
#include <utility>
#include <vector>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/socket_base.hpp>

#include "client/library/lease_keeper.hpp"
#include "server/http/http_server.hpp"
#include "server/locker.hpp"
#include "tests/client/deaf_proxy.hpp"
#include "tests/client/pretended_names.hpp"
#include "tests/client/refused_thread.hpp"
#include "tests/client/suspended_clock.hpp"

namespace locker::client {
namespace {

using namespace std::chrono_literals;

constexpr auto patience = 1min;

class LockTest : public testing::Test {
 protected:
  LockTest() {
    std::string name = testing::TempDir() + "lock_test.XXXXXX";
    directory_ = mkdtemp(name.data());
  }

  void SetUp() override {
    reserve_port();
    open(port_.local_endpoint());
    ASSERT_FALSE(HasFatalFailure());
    address_ =
        *parse_server_address("http://127.0.0.1:" + std::to_string(http_->endpoint().port()));
  }

  void open(const server::tcp::endpoint& endpoint) {
    auto opened = server::Locker::open({.file = directory_ + "/store"});
    ASSERT_TRUE(opened) << opened.error().message;
    locker_ = std::move(*opened);
    http_ = std::make_unique<server::HttpServer>(locker_->handler(), locker_->commit(),
                                                 server::HttpServer::Options{.threads = 1});
    ASSERT_FALSE(http_->start(endpoint));
  }

  /// No other program gets the port while the server is away.
  void reserve_port() {
    port_.open(server::tcp::v4());
    port_.set_option(net::socket_base::reuse_address{true});
    port_.bind({net::ip::address_v4::loopback(), 0});
  }

  void TearDown() override {
    http_->stop();
    http_.reset();
    locker_.reset();
    std::filesystem::remove_all(directory_);
  }

  std::unique_ptr<Lock> take(Lock::OnLost on_lost, const std::string& ttl = "1s") const {
    auto taken = lock(address_, {.paths = {"/a"}, .ttl = ttl}, {}, std::move(on_lost));
    EXPECT_TRUE(taken);
    return std::move(*taken);
  }

  void force() const {
    const auto answered = call(address_, force_call({.path = "/a"}, "test"));
    EXPECT_TRUE(answered && answered->status == 200);
  }

  /// A program adds a lock to a lease, and whoever keeps that does not hear of it.
  void join(const Grant& grant, const std::string& path, bool shared = false) const {
    const Wanted wanted{.paths = {path}, .shared = shared, .ttl = ""};
    const auto answered = call(address_, acquire_call(wanted, grant.token, 0ms));
    EXPECT_TRUE(answered && answered->status == 201);
  }

  std::string directory_;
  net::io_context io_context_;
  server::tcp::socket port_{io_context_};
  std::unique_ptr<server::Locker> locker_;
  std::unique_ptr<server::HttpServer> http_;
  ServerAddress address_;
};

TEST_F(LockTest, WhoIsToldThatItIsLostMayReleaseIt) {
  std::promise<Lock*> taken;
  std::promise<Result<void>> released;
  const auto lock = take([&, is_taken = taken.get_future().share()](const Failure&) {
    released.set_value(is_taken.get()->release());
  });
  taken.set_value(lock.get());
  force();
  auto is_released = released.get_future();
  ASSERT_EQ(is_released.wait_for(patience), std::future_status::ready);
  const Result<void> first = is_released.get();
  ASSERT_FALSE(first);
  EXPECT_EQ(first.error().kind, Failure::Kind::lost);
  EXPECT_TRUE(lock->release()) << "called again, nothing happens";
}

TEST_F(LockTest, TheLossOfOneOfItsPathsIsTold) {
  std::promise<Failure> told;
  const auto taken = lock(address_, {.paths = {"/a", "/b"}, .ttl = "3s"}, {},
                          [&](const Failure& failure) { told.set_value(failure); });
  ASSERT_TRUE(taken);
  force();
  auto failure = told.get_future();
  ASSERT_EQ(failure.wait_for(patience), std::future_status::ready);
  const Failure why = failure.get();
  EXPECT_EQ(why.kind, Failure::Kind::lost);
  EXPECT_NE(why.message.find("test"), std::string::npos) << why.message;
  EXPECT_TRUE((*taken)->is_lost());
}

TEST_F(LockTest, WhatWasAddedToALeaseIsReleasedAlone) {
  std::promise<Failure> told;
  const auto first = lock(address_, {.paths = {"/a"}, .ttl = "3s"}, {},
                          [&](const Failure& failure) { told.set_value(failure); });
  ASSERT_TRUE(first);
  Acquisition::Options joining;
  joining.token = (*first)->grant().token;
  const auto second = lock(address_, {.paths = {"/b"}, .ttl = "3s"}, joining);
  ASSERT_TRUE(second);
  std::this_thread::sleep_for(2'500ms);  // two renewals with two locks
  EXPECT_TRUE((*second)->release());
  EXPECT_TRUE((*second)->is_lost()) << "it may be somebody else's now";
  EXPECT_TRUE(lock(address_, {.paths = {"/b"}}));
  EXPECT_FALSE(lock(address_, {.paths = {"/a"}}));
  std::this_thread::sleep_for(1'500ms);  // and one with the first alone
  EXPECT_FALSE((*first)->is_lost());
  EXPECT_EQ(told.get_future().wait_for(0s), std::future_status::timeout);
}

TEST_F(LockTest, WhatIsNoPathOrNoKeyIsRefused) {
  const auto empty = lock(address_, {.paths = {"/a", ""}});
  ASSERT_FALSE(empty);
  EXPECT_EQ(empty.error().kind, Failure::Kind::refused);
  address_.key = "key\r\nLock-Token: 00000000-0000-4000-8000-000000000000";
  const auto two_lines = lock(address_, {.paths = {"/a"}});
  ASSERT_FALSE(two_lines);
  EXPECT_EQ(two_lines.error().kind, Failure::Kind::refused);
}

TEST_F(LockTest, ItIsGivenBackToAServerThatComesBack) {
  const auto taken = take({}, "30s");
  const server::tcp::endpoint endpoint = http_->endpoint();
  http_->stop();
  auto released = std::async(std::launch::async, [&] { return taken->release(); });
  std::this_thread::sleep_for(300ms);
  http_ = std::make_unique<server::HttpServer>(locker_->handler(), locker_->commit(),
                                               server::HttpServer::Options{.threads = 1});
  ASSERT_FALSE(http_->start(endpoint));
  EXPECT_TRUE(released.get());
  EXPECT_TRUE(lock(address_, {.paths = {"/a"}}));
}

TEST_F(LockTest, WhoIsToldThatItIsLostMayDestroyIt) {
  std::promise<std::unique_ptr<Lock>> taken;
  std::promise<void> destroyed;
  auto is_taken = taken.get_future();
  taken.set_value(take([&](const Failure&) {
    is_taken.get().reset();
    destroyed.set_value();
  }));
  force();
  EXPECT_EQ(destroyed.get_future().wait_for(patience), std::future_status::ready);
}

TEST_F(LockTest, WhoIsToldThatItIsLostMayDestroyItWithoutADescriptorLeft) {
#ifdef __SANITIZE_ADDRESS__
  GTEST_SKIP() << "the sanitizers need descriptors themselves, to look at an exception's memory";
#endif
  std::promise<std::unique_ptr<Lock>> taken;
  std::promise<Result<void>> released;
  auto is_taken = taken.get_future();
  taken.set_value(take([&](const Failure&) {
    rlimit before{};
    ::getrlimit(RLIMIT_NOFILE, &before);
    const rlimit none{.rlim_cur = 0, .rlim_max = before.rlim_max};
    ::setrlimit(RLIMIT_NOFILE, &none);
    std::unique_ptr<Lock> lock = is_taken.get();
    Result<void> result = lock->release();
    lock.reset();
    ::setrlimit(RLIMIT_NOFILE, &before);
    released.set_value(result);
  }));
  force();
  auto is_released = released.get_future();
  ASSERT_EQ(is_released.wait_for(patience), std::future_status::ready);
  EXPECT_FALSE(is_released.get()) << "nobody was told";
}

TEST_F(LockTest, TwoMayReleaseItAtOnceOfWhomOneWasToldThatItIsLost) {
  std::promise<Lock*> taken;
  std::promise<void> told;
  const auto lock = take([&, is_taken = taken.get_future().share()](const Failure&) {
    told.set_value();
    std::this_thread::sleep_for(2s);  // the other one waits for this thread's end by then
    EXPECT_TRUE(is_taken.get()->release());
  });
  taken.set_value(lock.get());
  force();
  ASSERT_EQ(told.get_future().wait_for(patience), std::future_status::ready);
  EXPECT_FALSE(lock->release()) << "it was lost before";
}

TEST_F(LockTest, AForkedProcessGivesNothingBack) {
  auto taken = take({}, "1m");
  const pid_t child = ::fork();
  if (child == 0) {
    ::alarm(20);
    const bool is_lost = taken->is_lost() && !taken->release();
    taken.reset();
    ::_exit(is_lost ? 0 : 1);
  }
  int status = 0;
  ASSERT_EQ(::waitpid(child, &status, 0), child);
  EXPECT_EQ(status, 0) << "not known to be lost, or it waits for a thread that is not there";
  EXPECT_FALSE(taken->is_lost());
  EXPECT_TRUE(taken->release()) << "it was held";
}

TEST_F(LockTest, WithoutAThreadToRenewItItIsGivenBack) {
  test::refuse_thread(2);  // the first one is the resolver's
  EXPECT_THROW(static_cast<void>(lock(address_, {.paths = {"/a"}, .ttl = "1m"})),
               std::system_error);
  EXPECT_TRUE(lock(address_, {.paths = {"/a"}}));
}

TEST_F(LockTest, WhoWaitsForLongerThanAClockCanSayWaits) {
  const auto first = take({}, "1m");
  auto second = std::async(std::launch::async, [&] {
    return lock(address_, {.paths = {"/a"}}, {.wait = milliseconds::max()});
  });
  EXPECT_EQ(second.wait_for(500ms), std::future_status::timeout);
  EXPECT_TRUE(first->release());
  EXPECT_TRUE(second.get());
}

TEST_F(LockTest, AWaitThatIsCutAgainAndAgainEnds) {
  const auto first = take({}, "1m");
  test::DeafProxy proxy{http_->endpoint().port()};
  proxy.wait_for_answers(1200ms);
  address_.port = std::to_string(proxy.port());
  // With a lease to join, it is asked over a connection that is there already.
  const auto another = lock(address_, {.paths = {"/b"}, .ttl = "1m"});
  ASSERT_TRUE(another);
  for (const std::string& token : {std::string{}, (*another)->grant().token}) {
    auto second = std::async(std::launch::async, [&] {
      return lock(address_, {.paths = {"/a"}}, {.wait = 2s, .token = token});
    });
    if (second.wait_for(10s) != std::future_status::ready) {
      ADD_FAILURE() << "it does not end";
      EXPECT_TRUE(first->release());
    }
    const auto locked = second.get();
    ASSERT_FALSE(locked);
    EXPECT_EQ(locked.error().kind, Failure::Kind::not_acquired);
  }
}

TEST_F(LockTest, AWaitForAServerThatIsSilentEnds) {
  Acquisition::Options how{.wait = 3s, .timeout = 1s, .patience = 2s, .first_patience = 500ms};
  for (const bool takes_connections : {true, false}) {
    if (!takes_connections) how.wait = how.patience = 1min;  // not needed: nobody is reached
    net::io_context io_context{1};
    const server::tcp::endpoint endpoint{net::ip::address_v4::loopback(), 0};
    server::tcp::acceptor silent{io_context, endpoint};
    silent.listen(takes_connections ? 10 : 0);
    server::tcp::socket first{io_context};
    first.connect(silent.local_endpoint());
    address_.port = std::to_string(silent.local_endpoint().port());
    auto waiting =
        std::async(std::launch::async, [&] { return lock(address_, {.paths = {"/a"}}, how); });
    const bool has_ended = waiting.wait_for(15s) == std::future_status::ready;
    EXPECT_TRUE(has_ended);
    silent.close();
    const auto locked = waiting.get();
    ASSERT_FALSE(locked);
    EXPECT_EQ(locked.error().kind, Failure::Kind::unreachable);
  }
}

TEST_F(LockTest, WhoDoesNotWaitAsksAServerThatIsSilentOnce) {
  net::io_context io_context{1};
  const server::tcp::acceptor silent{io_context, {net::ip::address_v4::loopback(), 0}};
  address_.port = std::to_string(silent.local_endpoint().port());
  unsigned troubles = 0;
  const auto locked = lock(address_, {.paths = {"/a"}},
                           {.timeout = 1s,
                            .patience = 3s,
                            .first_patience = 500ms,
                            .on_trouble = [&troubles](const Failure&) { ++troubles; }});
  ASSERT_FALSE(locked);
  EXPECT_EQ(locked.error().kind, Failure::Kind::unreachable);
  EXPECT_EQ(troubles, 0U) << "it was asked again";
}

TEST_F(LockTest, AfterTimeInWhichTheMachineWasSuspendedItIsRenewedIfItLives) {
  std::promise<void> told;
  const auto lock = take([&](const Failure&) { told.set_value(); }, "1h");
  test::suspend(50min);
  EXPECT_EQ(told.get_future().wait_for(4s), std::future_status::timeout) << "nobody was asked";
  test::suspend(30min);
  EXPECT_FALSE(lock->is_lost()) << "it was not renewed between the two";
}

TEST_F(LockTest, AServerWithAnAddressThatIsSilentIsReached) {
  // Its backlog has place for one that nobody takes, and who comes then gets no answer.
  net::io_context io_context{1};
  const server::tcp::endpoint endpoint{net::ip::make_address("127.0.0.2"),
                                       http_->endpoint().port()};
  server::tcp::acceptor silent{io_context, endpoint.protocol()};
  silent.bind(endpoint);
  silent.listen(0);
  server::tcp::socket first{io_context};
  first.connect(endpoint);
  address_.host = test::two_addresses;
  EXPECT_TRUE(lock(address_, {.paths = {"/a"}}, {.timeout = 2s}));
}

TEST_F(LockTest, WhatJoinsALeaseLeavesItsTtl) {
  const auto first = take({}, "1m");
  Acquisition::Options joining;
  joining.token = first->grant().token;
  const auto second = lock(address_, {.paths = {"/b"}, .ttl = "1s"}, joining);
  ASSERT_TRUE(second);
  EXPECT_EQ((*second)->grant().ttl, 1min);
  EXPECT_TRUE((*second)->release());
  std::this_thread::sleep_for(2s);
  EXPECT_FALSE(lock(address_, {.paths = {"/a"}})) << "nobody renewed it for the new TTL";
}

TEST_F(LockTest, NothingJoinsALeaseThatIsNotThere) {
  Acquisition::Options joining;
  joining.token = fresh_token();
  const auto joined = lock(address_, {.paths = {"/a"}}, joining);
  ASSERT_FALSE(joined) << "the server opened one without a TTL";
  EXPECT_EQ(joined.error().kind, Failure::Kind::lost);
  EXPECT_TRUE(lock(address_, {.paths = {"/a"}}));
}

// The server would give it what it waits for without an owner, and for ever.
TEST_F(LockTest, WhoWaitsToJoinALeaseThatHasEndedWhenTheServerIsBackGetsNothing) {
  const auto holder = take({}, "1m");
  const auto ending = lock(address_, {.paths = {"/b"}, .ttl = "1m"});
  ASSERT_TRUE(ending);
  Acquisition::Options joining{.wait = patience};
  joining.token = (*ending)->grant().token;
  auto waiting =
      std::async(std::launch::async, [&] { return lock(address_, {.paths = {"/a"}}, joining); });
  const auto waits = [&] {
    const auto listed = call(address_, list_call({.state = "waiting"}));
    return listed && listed->body.find("/a") != std::string::npos;
  };
  while (!waits()) std::this_thread::sleep_for(10ms);
  EXPECT_TRUE((*ending)->release());
  const server::tcp::endpoint endpoint = http_->endpoint();
  http_->stop();
  http_.reset();
  locker_.reset();
  open(endpoint);
  EXPECT_TRUE(holder->release());
  const auto joined = waiting.get();
  ASSERT_FALSE(joined);
  EXPECT_EQ(joined.error().kind, Failure::Kind::lost);
  EXPECT_TRUE(lock(address_, {.paths = {"/a"}}));
}

TEST_F(LockTest, WhatWasGrantedWithoutAnAnswerDoesNotStayHeld) {
  const auto first = take({}, "1m");
  Acquisition::Options how;
  how.patience = how.first_patience = 300ms;
  for (const std::string& token : {first->grant().token, std::string{}}) {
    how.token = token;
    test::DeafProxy proxy{http_->endpoint().port()};
    ServerAddress through = address_;
    through.port = std::to_string(proxy.port());
    proxy.lose_answers_to("POST /v1/locks/b");
    const auto unheard = lock(through, {.paths = {"/b"}, .ttl = ""}, how);
    ASSERT_FALSE(unheard);
    EXPECT_EQ(unheard.error().kind, Failure::Kind::unreachable);
    EXPECT_FALSE(lock(address_, {.paths = {"/b"}}));
    proxy.lose_answers_to("nothing");
    Result<std::unique_ptr<Lock>> free = lock(address_, {.paths = {"/b"}}, {.wait = patience});
    EXPECT_TRUE(free);
  }
  EXPECT_FALSE(lock(address_, {.paths = {"/a"}})) << "it took more than it should";
}

TEST_F(LockTest, WhatJoinedALeaseIsGivenBackToAServerThatWasAwayForLong) {
  const auto first = take({}, "1m");
  Acquisition::Options joining;
  joining.token = first->grant().token;
  const auto second = lock(address_, {.paths = {"/b"}}, joining);
  ASSERT_TRUE(second);
  const server::tcp::endpoint endpoint = http_->endpoint();
  http_->stop();
  EXPECT_FALSE((*second)->release());
  http_ = std::make_unique<server::HttpServer>(locker_->handler(), locker_->commit(),
                                               server::HttpServer::Options{.threads = 1});
  ASSERT_FALSE(http_->start(endpoint));
  EXPECT_TRUE(lock(address_, {.paths = {"/b"}}, {.wait = patience}));
  EXPECT_FALSE(first->is_lost());
}

TEST_F(LockTest, ThatOneOfItsPathsWasLostIsToldAtItsEnd) {
  const auto taken = lock(address_, {.paths = {"/a", "/b"}, .ttl = "1h"});
  ASSERT_TRUE(taken);
  force();
  const auto released = (*taken)->release();
  ASSERT_FALSE(released);
  EXPECT_EQ(released.error().kind, Failure::Kind::lost);
  EXPECT_NE(released.error().message.find("test"), std::string::npos) << released.error().message;
}

TEST_F(LockTest, ALossDoesNotHideBehindALockThatCame) {
  std::promise<Failure> told;
  const auto first = take({}, "3s");
  Acquisition::Options joining;
  joining.token = first->grant().token;
  const auto second = lock(address_, {.paths = {"/b"}}, joining,
                           [&](const Failure& failure) { told.set_value(failure); });
  ASSERT_TRUE(second);
  std::this_thread::sleep_for(1'500ms);  // it was renewed with two locks
  EXPECT_TRUE(call(address_, force_call({.path = "/b"}, "test")));
  EXPECT_TRUE(call(address_, acquire_call({.paths = {"/c"}, .ttl = ""}, joining.token, 0ms)));
  auto failure = told.get_future();
  ASSERT_EQ(failure.wait_for(patience), std::future_status::ready);
  EXPECT_EQ(failure.get().kind, Failure::Kind::lost);
}

TEST_F(LockTest, ALossIsToldWhenAsManyLocksAreThereAsWereTaken) {
  using Paths = std::vector<std::string>;
  for (const auto& paths : {Paths{"/a"}, Paths{"/a", "/b"}}) {
    std::promise<Failure> told;
    auto failure = told.get_future();
    const auto taken = lock(address_, {.paths = paths, .ttl = "6s"}, {},
                            [&](const Failure& why) { told.set_value(why); });
    ASSERT_TRUE(taken);
    join((*taken)->grant(), "/c");
    force();
    ASSERT_EQ(failure.wait_for(patience), std::future_status::ready);
    const Failure why = failure.get();
    EXPECT_EQ(why.kind, Failure::Kind::lost);
    EXPECT_NE(why.message.find("test"), std::string::npos) << why.message;
  }
}

TEST_F(LockTest, WhatWasLostAndIsTakenAnewByTheSameLeaseWasLost) {
  std::promise<Failure> told;
  const auto taken = lock(address_, {.paths = {"/a", "/b"}, .ttl = "6s"}, {},
                          [&](const Failure& failure) { told.set_value(failure); });
  ASSERT_TRUE(taken);
  force();
  join((*taken)->grant(), "/a");
  auto failure = told.get_future();
  ASSERT_EQ(failure.wait_for(patience), std::future_status::ready);
  const Failure why = failure.get();
  EXPECT_EQ(why.kind, Failure::Kind::lost);
  EXPECT_NE(why.message.find("/a"), std::string::npos) << why.message;
}

TEST_F(LockTest, AChangeOfModeIsNoLoss) {
  for (const bool shared : {false, true}) {
    const Wanted wanted{.paths = {"/a"}, .shared = shared, .ttl = "6s"};
    const auto answered = call(address_, acquire_call(wanted, fresh_token(), 0ms));
    ASSERT_TRUE(answered);
    const auto grant = parse_grant(*answered);
    ASSERT_TRUE(grant);
    join(*grant, "/a", !shared);
    if (shared) join(*grant, "/a", true);
    net::io_context io_context{1};
    int renewals = 0;
    std::optional<LeaseKeeper> keeper;
    keeper.emplace(io_context, address_, *grant, [&] {
      if (++renewals == 2) keeper->stop();
    });
    std::optional<Failure> failure;
    net::co_spawn(io_context, keeper->async_run(),
                  [&](const std::exception_ptr&, std::optional<Failure> why) { failure = why; });
    io_context.run();
    EXPECT_EQ(renewals, 2);
    EXPECT_FALSE(failure) << failure->message;
    ASSERT_TRUE(call(address_, release_call(grant->token)));
  }
}

TEST_F(LockTest, TimeInWhichTheMachineWasSuspendedCounts) {
  std::promise<void> told;
  const auto lock = take([&](const Failure&) { told.set_value(); }, "1h");
  EXPECT_FALSE(lock->is_lost());
  test::suspend(2h);
  EXPECT_TRUE(lock->is_lost());
  EXPECT_EQ(told.get_future().wait_for(30s), std::future_status::ready);
}

}  // namespace
}  // namespace locker::client
