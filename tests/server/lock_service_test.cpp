// The one door to the locks, without connections.
#include "server/lock_service.hpp"

#include <gtest/gtest.h>

#include <chrono>
#include <memory>
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

TEST_F(LockServiceTest, WhileTheDiskHoldsUpAThreadThatServesConnectionsNoLeaseEnds) {
  const core::Token token = open_lease(core::Milliseconds{600});
  journal_.close_gate();
  std::thread serving{[this] { commit_.commit_or_hand_over(); }};
  journal_.wait_for_appends(1);
  std::this_thread::sleep_for(milliseconds{1500});
  // Its clients' renewals, which arrived long ago, are read now.
  journal_.open_gate();
  serving.join();
  EXPECT_TRUE(is_living(token));
  std::this_thread::sleep_for(milliseconds{800});
  EXPECT_FALSE(is_living(token));
}

TEST_F(LockServiceTest, ACommitThatHoldsUpNoConnectionsStopsNoClock) {
  const core::Token token = open_lease(core::Milliseconds{600});
  journal_.close_gate();
  std::thread alone{[this] { commit_.commit(); }};
  journal_.wait_for_appends(1);
  std::this_thread::sleep_for(milliseconds{1000});
  EXPECT_FALSE(is_living(token));
  journal_.open_gate();
  alone.join();
}

}  // namespace
}  // namespace locker::server
