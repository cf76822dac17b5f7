#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <functional>
#include <map>
#include <set>
#include <string>
#include <tuple>
#include <utility>
#include <vector>

#include "tests/core/oracle_arbiter.hpp"

namespace locker::core {

/// Sends the same commands to Arbiter and to OracleArbiter, and compares everything. Assertions are
/// GoogleTest's.
class ArbiterComparison final : public Arbiter::Host {
 public:
  /// `choose` decides what is done: random numbers, or what a fuzzer likes.
  using Choose = std::function<std::uint64_t()>;
  explicit ArbiterComparison(Choose choose, std::uint64_t hash_seed = 1)
      : random_(std::move(choose)), arbiter_(hash_seed, {}) {
    arbiter_.start(*this, 1);
  }

  void run(int steps) {
    for (int step = 0; step < steps && !testing::Test::HasFatalFailure(); ++step) {
      now_ += std::chrono::milliseconds{random_() % 40};
      if (!catch_up()) return;
      take_step();
      compare();
    }
    replay();
  }

 private:
  using HeldNames = std::set<std::tuple<Token, std::string, int, bool>>;
  static constexpr int tokens = 7;

  static Token token_of(std::uint64_t number) {
    Token token;
    token.bytes[3] = static_cast<std::uint8_t>(number);
    token.bytes[4] = static_cast<std::uint8_t>(number >> 8U);
    token.bytes[9] = 1;
    return token;
  }

  void on_record(const Record& record) override {
    append_record(record, journal_);
    if (const auto* const ended = std::get_if<Ended>(&record)) {
      if (ended->reason != End::cooled && ended->reason != End::forced) {
        ASSERT_NE(ended->token, Token{});
      }
    }
  }
  void on_event(const Event&) override {}
  void on_decided(WaiterId waiter, Acquired&& acquired) override {
    decisions_.push_back(decision_of(numbers_.at(waiter), acquired));
  }
  Arbiter::Room room_for(std::size_t, bool) const override { return Arbiter::Room::enough; }

  static OracleArbiter::Decision decision_of(std::uint64_t number, const Acquired& acquired) {
    OracleArbiter::Decision decision{number, acquired.outcome, {}};
    for (const auto& lock : acquired.locks) decision.paths.push_back(lock.packed_path);
    return decision;
  }
  [[nodiscard]] Now now() const { return {now_, static_cast<Fence>(now_.count())}; }

  /// One timer after the other; false when two are due at once, whose order nobody promises.
  bool catch_up() {
    for (auto due = oracle_.deadlines(); !due.empty() && due.front() <= now_;
         due = oracle_.deadlines()) {
      if (due.size() > 1 && due[0] == due[1]) return false;
      const Instant later = std::exchange(now_, due.front());
      oracle_.advance(now_);
      while (arbiter_.advance(now(), 1000)) {
      }
      compare();
      now_ = later;
    }
    while (arbiter_.advance(now(), 1000)) {
    }
    return true;
  }

  std::string random_path() {
    static constexpr std::array<std::string_view, 3> names{"a", "b", "c"};
    Path path;
    for (std::size_t depth = random_() % 4; depth > 0; --depth) {
      EXPECT_EQ(path.push_back(names[random_() % names.size()]), Path::Push::ok);
    }
    return std::string{path.view().packed()};
  }

  void take_step() {
    const auto dice = random_() % 100;
    if (dice < 55) return acquire();
    if (dice < 80) return release();
    if (dice < 84) return force();
    if (dice < 90) return renew();
    if (dice < 97) return abandon();
    now_ += std::chrono::seconds{random_() % 20};
    is_late_ = !catch_up();
  }

  void acquire() {
    OracleArbiter::Request request;
    request.number = ++number_;
    request.is_chosen = random_() % 4 != 0;
    const std::uint64_t who = request.is_chosen ? random_() % tokens : 1'000 + number_;
    request.token = token_of(who);
    request.ttl = Milliseconds{who % 3 == 0 ? 0 : static_cast<std::uint32_t>(5'003 + 100 * who)};
    request.lock_delay =
        Milliseconds{who % 5 == 1 ? static_cast<std::uint32_t>(701 + 10 * who) : 0};
    std::set<std::string> paths;
    for (std::size_t count = random_() % 5 == 0 ? 3 : 1; count > 0; --count) {
      const std::string path = random_path();
      if (!paths.insert(path).second) continue;
      const Shape shape{random_() % 2 == 0 ? Mode::exclusive : Mode::shared, random_() % 4 != 0,
                        random_() % 4 != 0};
      request.wanted.push_back({path, shape});
    }
    if (request.wanted.size() > 1 && random_() % 2 == 0) request.any = 1 + random_() % 2;
    const Instant wait =
        random_() % 3 == 0 ? Instant{0} : std::chrono::milliseconds{1 + random_() % 9'000};

    AcquireCommand command;
    command.wanted = request.wanted;
    command.any = request.any;
    if (request.is_chosen) command.token = request.token;
    command.fresh_token = request.token;
    command.ttl = request.ttl;
    command.lock_delay = request.lock_delay;
    command.wait = wait;
    Acquired acquired = arbiter_.acquire(command, now());
    if (acquired.outcome == Outcome::queued) numbers_[acquired.waiter] = request.number;
    finish_work();
    const auto expected = oracle_.acquire(request, wait, now_);
    auto got = decision_of(request.number, acquired);
    std::sort(got.paths.begin(), got.paths.end());
    auto sorted = expected;
    std::sort(sorted.paths.begin(), sorted.paths.end());
    ASSERT_EQ(static_cast<int>(got.outcome), static_cast<int>(sorted.outcome));
    ASSERT_EQ(got, sorted);
    if (acquired.outcome == Outcome::blocked) {
      ASSERT_FALSE(acquired.blocked_by.empty());
    }
    if (acquired.outcome == Outcome::deadlock) {
      ASSERT_GE(acquired.cycle.size(), 2U);
    }
  }

  void release() {
    if (oracle_.locks().empty()) return;
    const auto lock = oracle_.locks()[random_() % oracle_.locks().size()];
    const auto released = arbiter_.release(lock.token, PathView{lock.packed_path}, now());
    finish_work();
    const bool expected = oracle_.release(lock.token, lock.packed_path, now_);
    ASSERT_EQ(released.outcome == Arbiter::ReleaseOutcome::released, expected);
  }

  void force() {
    const std::string path = random_path();
    Arbiter::ForceFilter filter;
    filter.packed_path = path;
    static_cast<void>(arbiter_.force(filter, "test", now()));
    finish_work();
    oracle_.force(path, now_);
  }

  void renew() {
    const Token token = token_of(random_() % tokens);
    const auto renewed = arbiter_.renew(token, {}, now());
    ASSERT_EQ(renewed.outcome == Arbiter::LeaseOutcome::living, oracle_.renew(token, now_));
  }

  void abandon() {
    if (numbers_.empty()) return;
    auto at = numbers_.begin();
    std::advance(at, static_cast<std::ptrdiff_t>(random_() % numbers_.size()));
    const bool expected = oracle_.abandon(at->second, now_);
    ASSERT_EQ(arbiter_.abandon(at->first, now()), expected);
    finish_work();
  }

  void finish_work() {
    while (arbiter_.advance(now(), 1 + random_() % 3)) {
    }
  }

  static HeldNames names_of(const LockTable& table) {
    HeldNames names;
    table.for_each_lock([&](const HeldLock& held) {
      const Token token = held.is_cooling ? Token{} : table.token_of(held);
      names.emplace(token, std::string{table.path_of(held).view().packed()},
                    static_cast<int>(held.shape.mode), held.is_cooling);
    });
    return names;
  }

  void compare() {
    if (is_late_ || testing::Test::HasFatalFailure()) return;
    arbiter_.table().check_invariants();
    HeldNames expected;
    for (const auto& lock : oracle_.locks()) {
      expected.emplace(lock.is_cooling ? Token{} : lock.token, lock.packed_path,
                       static_cast<int>(lock.shape.mode), lock.is_cooling);
    }
    ASSERT_EQ(names_of(arbiter_.table()), expected);
    std::sort(decisions_.begin(), decisions_.end());
    auto got = std::exchange(decisions_, {});
    auto wanted = oracle_.take_decisions();
    ASSERT_EQ(got.size(), wanted.size());
    for (std::size_t i = 0; i < got.size(); ++i) {
      std::sort(got[i].paths.begin(), got[i].paths.end());
      std::sort(wanted[i].paths.begin(), wanted[i].paths.end());
      ASSERT_EQ(got[i], wanted[i])
          << static_cast<int>(got[i].outcome) << " " << static_cast<int>(wanted[i].outcome);
    }
    ASSERT_EQ(arbiter_.waiter_count(), oracle_.requests().size());
  }

  /// What was journaled gives the same locks again.
  void replay() {
    if (is_late_ || testing::Test::HasFatalFailure()) return;
    Arbiter again{99, {}};
    RecordReader reader{journal_};
    Record record;
    while (reader.next(record)) ASSERT_TRUE(again.replay(record));
    ASSERT_EQ(reader.fault(), nullptr);
    again.start(*this, 1);
    ASSERT_EQ(names_of(again.table()), names_of(arbiter_.table()));
  }

  Choose random_;
  Arbiter arbiter_;
  OracleArbiter oracle_;
  Instant now_{std::chrono::milliseconds{1}};
  std::uint64_t number_ = 0;
  std::map<WaiterId, std::uint64_t> numbers_;
  std::vector<OracleArbiter::Decision> decisions_;
  std::string journal_;
  bool is_late_ = false;
};

}  // namespace locker::core
