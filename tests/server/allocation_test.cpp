// Counts the heap allocations of the serving thread; a separate program, with its own operator new.

#include <gtest/gtest.h>
#include <unistd.h>

#include <algorithm>
#include <cstdint>
#include <filesystem>
#include <limits>
#include <memory>
#include <string>
#include <string_view>

#include "server/http/http_server.hpp"
#include "server/locker.hpp"
#include "server/service/event_log.hpp"
#include "tests/support/counted_allocation.hpp"
#include "tests/support/raw_client.hpp"

namespace locker::server {
namespace {

using test::get;
using test::RawClient;

std::string post(std::string_view target) {
  return "POST " + std::string{target} + " HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n";
}

std::string remove(std::string_view target) {
  return "DELETE " + std::string{target} + " HTTP/1.1\r\nHost: a\r\n\r\n";
}

const std::string token = "8c1f0a52-6f0e-4b43-9f0d-0d8f3a1b2c3d";

/// Queries and the 1.0b calls allocate nothing on the heap. A /v1 grant creates a request that
/// could be queued, which is some 0.2 us of the 20 us and more that it takes in total; the limit
/// there is to notice additions.
class AllocationTest : public testing::Test {
 protected:
  AllocationTest() {
    test::ignore_this_thread();
    std::string name = testing::TempDir() + "allocation.XXXXXX";
    directory_ = mkdtemp(name.data());
    auto opened = Locker::open({.file = directory_ + "/store"});
    EXPECT_TRUE(opened) << opened.error().message;
    locker_ = std::move(*opened);
    HttpServer::Options options;
    options.threads = 1;
    options.metrics = &locker_->http_metrics();
    server_ = std::make_unique<HttpServer>(locker_->handler(), locker_->commit(), options);
    const tcp::endpoint any_port{net::ip::address_v4::loopback(), 0};
    EXPECT_FALSE(server_->start(any_port));
    client_.connect(server_->endpoint().port());
  }
  ~AllocationTest() override {
    server_.reset();
    locker_.reset();
    std::filesystem::remove_all(directory_);
  }

  /// Fills what grows up to a capacity once: the memories of events and of ended leases.
  void fill_memories() {
    core::Path path;
    ASSERT_EQ(path.push_back("filler"), core::Path::Push::ok);
    LockService& service = locker_->service();
    for (std::size_t i = 0; i <= core::EndedMemory::capacity; ++i) {
      LockService::Blocker nobody;
      const auto acquired = service.acquire_legacy(path, {}, "me", nobody).answer;
      ASSERT_EQ(acquired.outcome, core::Outcome::granted);
      const auto released = service.release_legacy(path, acquired.token);
      if (i % 1000 == 0) locker_->commit().commit_until(released.index);
    }
  }
  /// Counts over `rounds` rounds, after as many that are not counted. The least of three counts,
  /// because what the journal's threads do now and then, such as a snapshot, is counted too.
  template <typename Round>
  std::uint64_t count(const Round& round) {
    for (int done = 0; done < rounds; ++done) round();
    std::uint64_t least = std::numeric_limits<std::uint64_t>::max();
    for (int counts = 0; counts < 3; ++counts) {
      const std::uint64_t before = test::allocations();
      for (int done = 0; done < rounds; ++done) round();
      least = std::min(least, test::allocations() - before);
    }
    return least;
  }
  std::string ask(const std::string& request) {
    const auto answer = client_.ask(request);
    EXPECT_TRUE(answer);
    EXPECT_LT(answer->status, 300) << request << answer->body;
    return answer->body;
  }

  static constexpr int rounds = 500;

 private:
  std::string directory_;
  std::unique_ptr<Locker> locker_;
  std::unique_ptr<HttpServer> server_;
  RawClient client_;
};

TEST_F(AllocationTest, AQueryTakesNone) {
  EXPECT_EQ(count([&] { ask(get("/dohaz/some/path")); }), 0U);
}

TEST_F(AllocationTest, APairOfTheSeedsVerbsTakesNone) {
  fill_memories();
  // One per pair would be as many as there are rounds. There are none, except that another thread
  // takes over the commits when the disk is slow for a while, more often on a busy machine.
  EXPECT_LT(count([&] {
              const std::string held = ask(get("/canhaz/some/path?id=me"));
              ask(get("/nowant/some/path?token=" + held.substr(held.size() - 38, 36)));
            }),
            rounds / 4U);
}

TEST_F(AllocationTest, APairOfV1TakesFew) {
  fill_memories();
  // 6 each, for what may have to wait, and a few for timers on a busy machine.
  EXPECT_LT(count([&] {
              ask(post("/v1/locks/some/path?ttl=60s&owner=me&token=" + token));
              ask(remove("/v1/locks/some/path?token=" + token));
            }),
            7U * rounds);
}

TEST(EventLogMemory, HasABoundAlsoWhereAllPathsAreLong) {
  core::Path path;
  for (int segment = 0; segment < 8; ++segment) {
    ASSERT_EQ(path.push_back(std::string(250, 'l')), core::Path::Push::ok);
  }
  const std::string owner(255, 'o');
  const std::uint64_t before = test::allocated_bytes();
  EventLog log{1, 0, 1};
  for (Index index = 1; index <= EventLog::capacity; ++index) {
    log.add({core::EventKind::granted, path, {}, owner, index}, index);
    log.publish(index);
  }
  const std::uint64_t entries = EventLog::capacity * std::uint64_t{160};
  EXPECT_LT(test::allocated_bytes() - before, EventLog::text_bytes_max + entries);
}

}  // namespace
}  // namespace locker::server
