// The one door to the locks, without connections.
#include "server/lock_service.hpp"

#include <gtest/gtest.h>

#include <chrono>
#include <memory>
#include <string>
#include <thread>

#include "tests/support/gated_journal.hpp"

namespace locker::server {
namespace {

using std::chrono::milliseconds;

class LockServiceTest : public testing::Test {
 protected:
  ~LockServiceTest() override { journal_.open_gate(); }

  core::Token open_lease(core::Milliseconds ttl) {
    return service_.open_lease({}, {}, ttl).answer.token;
  }
  bool is_living(const core::Token& token) {
    return service_.renew(token, {}).answer.outcome == core::Arbiter::LeaseOutcome::living;
  }

  test::GatedJournal journal_;
  GroupCommit commit_{journal_, 0, [](const core::Fault&) {}};
  LockService service_{
      std::make_unique<core::Arbiter>(1, core::Arbiter::Limits{}), commit_, journal_, 1, {}};
};

TEST_F(LockServiceTest, WhileTheDiskStandsStillNoLeaseEnds) {
  const core::Token token = open_lease(core::Milliseconds{600});
  journal_.close_gate();
  std::thread committing{[this] { commit_.commit_or_hand_over(); }};
  journal_.wait_for_appends(1);
  std::this_thread::sleep_for(milliseconds{1500});
  // If that thread serves connections, their clients' renewals are read only now.
  journal_.open_gate();
  committing.join();
  EXPECT_TRUE(is_living(token));
  std::this_thread::sleep_for(milliseconds{300});
  EXPECT_TRUE(is_living(token));
  std::this_thread::sleep_for(milliseconds{800});
  EXPECT_FALSE(is_living(token));
}

TEST_F(LockServiceTest, OnceTheClockIsStoppedNoLeaseEndsByTime) {
  const core::Token token = open_lease(core::Milliseconds{200});
  const core::Token other = open_lease(core::Milliseconds{200});
  service_.stop_clock();
  std::this_thread::sleep_for(milliseconds{600});
  EXPECT_TRUE(is_living(token));
  EXPECT_EQ(service_.release_all(other).answer.outcome, core::Arbiter::ReleaseOutcome::released);
}

class NobodyListens final : public LockService::Listener {
  void on_decided(core::Acquired&&, Index) override {}
};

TEST_F(LockServiceTest, APageOfThoseWhoWaitLooksAtALimitedNumberOfTheirPaths) {
  NobodyListens nobody;
  core::AcquireCommand command;
  constexpr int paths = 256;
  for (int i = 0; i < paths; ++i) {
    core::Path path;
    ASSERT_EQ(path.push_back("a"), core::Path::Push::ok);
    ASSERT_EQ(path.push_back(std::to_string(i)), core::Path::Push::ok);
    command.wanted.push_back({std::string{path.view().packed()}, {}});
  }
  static_cast<void>(service_.acquire(command, nobody));
  command.wait = std::chrono::hours{1};
  constexpr int waiters = 100;
  for (int i = 0; i < waiters; ++i) static_cast<void>(service_.acquire(command, nobody));
  ASSERT_EQ(service_.status().waiters, std::size_t{waiters});

  LockService::ListQuery query;
  query.state = core::LockInfo::State::waiting;
  query.packed_prefix = command.wanted.back().packed_path;
  std::size_t found = 0;
  std::size_t pages = 0;
  do {
    const auto page = service_.list(query).answer;
    EXPECT_LE(page.locks.size(), 40U);
    found += page.locks.size();
    query.after = page.next;
    ++pages;
  } while (!query.after.empty());
  EXPECT_EQ(found, std::size_t{waiters});
  EXPECT_EQ(pages, 3U);
}

}  // namespace
}  // namespace locker::server
