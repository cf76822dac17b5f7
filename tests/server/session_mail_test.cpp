// How sessions come back to their worker's thread, without sessions.
#include "server/http/session_mail.hpp"

#include <gtest/gtest.h>

#include <chrono>
#include <memory>
#include <mutex>
#include <thread>
#include <utility>

#include "tests/support/gated_journal.hpp"

namespace locker::server {
namespace {

class CountingRecipient final : public SessionMail::Recipient {
 public:
  using Recipient::await_durable;
  using Recipient::has_mail;
  using Recipient::Recipient;
  /// Announces a wake that is certain to come.
  void await_wake() {
    begin_await_wake();
    awaits_wake_ = true;
  }
  int resumed = 0;
  int woken = 0;
  int wakes_itself = 0;  ///< So many times more, from inside on_wake().

 private:
  void resume() override { ++resumed; }
  void on_wake() override {
    ++woken;
    if (wakes_itself != 0) {
      --wakes_itself;
      wake();
    }
    if (std::exchange(awaits_wake_, false)) end_await_wake();
  }

  bool awaits_wake_ = false;
};

class SessionMailTest : public testing::Test {
 protected:
  Index write() {
    const std::lock_guard lock{commit_.mutex()};
    return commit_.add(core::Ended{{}, {1, 0}, core::End::released});
  }
  void run() {
    io_context_.restart();
    io_context_.run();
  }

  test::GatedJournal journal_;
  GroupCommit commit_{journal_, 0, [](const core::Fault&) {}};
  net::io_context io_context_{1};
  SessionMail mail_{io_context_, commit_};
  CountingRecipient one_{mail_};
  CountingRecipient two_{mail_};
};

TEST_F(SessionMailTest, OneCommitResumesAllThatWait) {
  const Index first = write();
  const Index second = write();
  ASSERT_TRUE(one_.await_durable(first));
  ASSERT_TRUE(two_.await_durable(second));
  EXPECT_TRUE(mail_.waits());
  EXPECT_EQ(journal_.records(), 0U) << "it is this thread that commits, when it has its turn";
  run();
  EXPECT_EQ(one_.resumed, 1);
  EXPECT_EQ(two_.resumed, 1);
  EXPECT_EQ(journal_.records(), 2U);
  EXPECT_FALSE(mail_.waits());
}

TEST_F(SessionMailTest, WhatIsDurableIsNotWaitedFor) {
  const Index index = write();
  ASSERT_FALSE(commit_.commit());
  EXPECT_FALSE(one_.await_durable(index));
  run();
  EXPECT_EQ(one_.resumed, 0);
}

TEST_F(SessionMailTest, AnotherThreadsCommitResumesOnThisThread) {
  ASSERT_TRUE(one_.await_durable(write()));
  std::thread{[this] { static_cast<void>(commit_.commit()); }}.join();
  EXPECT_EQ(one_.resumed, 0);
  run();
  EXPECT_EQ(one_.resumed, 1);
}

TEST_F(SessionMailTest, WakesAreMergedUntilTheyArrive) {
  one_.wake();
  std::thread{[this] {
    one_.wake();
    two_.wake();
  }}.join();
  EXPECT_TRUE(one_.has_mail());
  EXPECT_EQ(one_.woken, 0) << "not from inside wake()";
  run();
  EXPECT_EQ(one_.woken, 1);
  EXPECT_EQ(two_.woken, 1);
  EXPECT_FALSE(one_.has_mail());
  one_.wake();
  run();
  EXPECT_EQ(one_.woken, 2);
}

TEST_F(SessionMailTest, AWakeDuringAWakeArrivesToo) {
  one_.wakes_itself = 2;
  one_.wake();
  run();
  EXPECT_EQ(one_.woken, 3);
}

TEST_F(SessionMailTest, WhoIsChosenToSeeToACommitHasItsWorkerCommit) {
  write();
  std::thread{[this] { one_.on_commit_needed(); }}.join();
  EXPECT_EQ(journal_.records(), 0U);
  run();
  EXPECT_EQ(journal_.records(), 1U);
}

TEST_F(SessionMailTest, ItsDestructorWaitsForWhatOtherThreadsOwe) {
  auto mail = std::make_unique<SessionMail>(io_context_, commit_);
  CountingRecipient last{*mail};
  last.await_wake();
  EXPECT_TRUE(last.await_durable(write()));
  std::thread other{[&last] {
    std::this_thread::sleep_for(std::chrono::milliseconds{20});
    last.wake();
  }};
  mail.reset();
  EXPECT_EQ(last.resumed, 1);
  EXPECT_EQ(last.woken, 1);
  other.join();
}

}  // namespace
}  // namespace locker::server
