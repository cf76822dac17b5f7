#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <functional>
#include <map>
#include <optional>
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
  using HeldNames = std::set<std::tuple<Token, std::string, int, bool, std::string>>;
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
    if (acquired.outcome == Outcome::deadlock) {
      ASSERT_GE(acquired.cycle.size(), 2U);
    }
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

  Shape random_shape() {
    const Mode mode = random_() % 2 == 0 ? Mode::exclusive : Mode::shared;
    const bool lock_parents = random_() % 4 != 0;
    const bool lock_children = random_() % 4 != 0;
    return {mode, lock_parents, lock_children};
  }

  void take_step() {
    const auto dice = random_() % 100;
    if (dice < 52) return acquire();
    if (dice < 72) return release();
    if (dice < 75) return release_all();
    if (dice < 79) return force();
    if (dice < 81) return open_lease();
    if (dice < 87) return renew();
    if (dice < 93) return abandon();
    if (dice < 96) return acquire_for_seed();
    now_ += std::chrono::seconds{random_() % 20};
    is_late_ = !catch_up();
  }

  /// Nearly always the same for the same client, so that it comes back for what it has.
  Milliseconds ttl_of(std::uint64_t who) {
    if (random_() % 12 == 0) who += 1 + random_() % 3;
    return Milliseconds{who % 3 == 0 ? 0 : static_cast<std::uint32_t>(5'003 + 100 * (who % 100))};
  }
  std::string owner_of(std::uint64_t who) {
    if (random_() % 12 == 0) ++who;
    return who % 4 == 0 ? "" : "owner" + std::to_string(who % 4);
  }

  OracleArbiter::Request random_request() {
    OracleArbiter::Request request;
    request.is_chosen = random_() % 4 != 0;
    const std::uint64_t who = request.is_chosen ? random_() % tokens : 1'000 + ++number_;
    request.token = token_of(who);
    if (random_() % 4 != 0) request.ttl = ttl_of(who);
    request.default_ttl = Milliseconds{random_() % 2 == 0 ? 0U : 7'001U};
    if (random_() % 4 != 0) request.asked_owner = owner_of(who);
    request.owner = request.asked_owner.value_or("");
    if (random_() % 12 == 0) request.meta = "why";
    if (who % 5 == 1 && random_() % 12 != 0) {
      request.lock_delay = Milliseconds{static_cast<std::uint32_t>(701 + 10 * who)};
    }
    std::set<std::string> paths;
    for (std::size_t count = random_() % 5 == 0 ? 3 : 1; count > 0; --count) {
      const std::string path = random_path();
      if (!paths.insert(path).second) continue;
      request.wanted.push_back({path, random_shape()});
    }
    if (request.wanted.size() > 1 && random_() % 2 == 0) request.any = 1 + random_() % 2;
    return request;
  }

  void acquire() {
    // Often a client asks again for what it asked for before, in whatever state that is.
    const bool is_again = !asked_.empty() && random_() % 4 == 0;
    OracleArbiter::Request request =
        is_again ? asked_[random_() % asked_.size()] : random_request();
    request.number = ++number_;
    if (request.is_chosen && !is_again) {
      if (asked_.size() == 8) asked_.erase(asked_.begin());
      asked_.push_back(request);
    }
    const Instant wait =
        random_() % 3 == 0 ? Instant{0} : std::chrono::milliseconds{1 + random_() % 9'000};

    AcquireCommand command;
    command.wanted = request.wanted;
    command.any = request.any;
    if (request.is_chosen) command.token = request.token;
    command.fresh_token = request.token;
    command.owner = request.asked_owner;
    command.ttl = request.ttl;
    command.default_ttl = request.default_ttl;
    command.lock_delay = request.lock_delay;
    command.meta = request.meta;
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

  void acquire_for_seed() {
    const Token token = token_of(1'000 + ++number_);
    const Waiter::Wanted wanted{random_path(), random_shape()};
    const std::string owner = owner_of(number_);
    const Milliseconds ttl = ttl_of(number_);
    const auto acquired =
        arbiter_.acquire_for_seed(wanted.path(), wanted.shape, owner, token, ttl, now());
    const bool is_granted = acquired.outcome == Outcome::granted;
    finish_work();
    ASSERT_EQ(is_granted, oracle_.acquire_for_seed(token, wanted, owner, ttl, now_));
  }

  void release() {
    Token token = token_of(random_() % tokens);
    std::string path = random_path();
    if (!oracle_.locks().empty() && random_() % 8 != 0) {
      const auto& lock = oracle_.locks()[random_() % oracle_.locks().size()];
      if (random_() % 8 != 0) token = lock.token;
      path = lock.packed_path;
    }
    const auto released = arbiter_.release(token, PathView{path}, now());
    finish_work();
    ASSERT_EQ(released.outcome, oracle_.release(token, path, now_));
  }

  void release_all() {
    const Token token = token_of(random_() % tokens);
    const auto released = arbiter_.release_all(token, now());
    finish_work();
    ASSERT_EQ(released.outcome, oracle_.release_all(token, now_));
  }

  void force() {
    Arbiter::ForceFilter filter;
    const auto dice = random_() % 8;
    if (dice == 0) {
      filter.packed_prefix = random_path();
    } else if (dice == 1) {
      filter.owner = owner_of(random_() % tokens);
      filter.packed_prefix = random_path();
    } else {
      filter.packed_path = random_path();
    }
    const auto forced = arbiter_.force(filter, "test", now());
    finish_work();
    ASSERT_EQ(forced.count, oracle_.force(filter, now_));
  }

  void open_lease() {
    const std::uint64_t who = random_() % tokens;
    const std::string owner = owner_of(who);
    const Milliseconds ttl = ttl_of(who);
    const auto opened = arbiter_.open_lease(token_of(who), {}, owner, ttl, now());
    ASSERT_EQ(opened.outcome, oracle_.open_lease(token_of(who), owner, ttl, now_));
  }

  void renew() {
    const std::uint64_t who = random_() % tokens;
    std::optional<Milliseconds> ttl;
    if (random_() % 4 == 0) ttl = ttl_of(who);
    const auto renewed = arbiter_.renew(token_of(who), ttl, now());
    ASSERT_EQ(renewed.outcome, oracle_.renew(token_of(who), ttl, now_));
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
                    static_cast<int>(held.shape.mode), held.is_cooling, std::string{held.owner});
    });
    return names;
  }

  void compare() {
    if (is_late_ || testing::Test::HasFatalFailure()) return;
    arbiter_.table().check_invariants();
    HeldNames expected;
    for (const auto& lock : oracle_.locks()) {
      expected.emplace(lock.is_cooling ? Token{} : lock.token, lock.packed_path,
                       static_cast<int>(lock.shape.mode), lock.is_cooling, lock.owner);
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
    ASSERT_FALSE(oracle_.has_deadlock());
    compare_leases(arbiter_);
    for (const auto& [token, living] : oracle_.leases()) {
      if (living.ttl.count() == 0) continue;
      const auto lease = arbiter_.table().find_lease_of(token);
      const auto expires = arbiter_.expiry_of(*lease);
      ASSERT_EQ(expires, living.expires);
    }
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
    compare_leases(again);
  }

  /// Leases, and what became of those that are no more. No run is so long that they are forgotten.
  void compare_leases(const Arbiter& arbiter) {
    ASSERT_EQ(arbiter.table().lease_count(), oracle_.leases().size());
    for (const auto& [token, expected] : oracle_.leases()) {
      const auto lease = arbiter.table().find_lease_of(token);
      ASSERT_TRUE(lease);
      ASSERT_EQ(lease->ttl, expected.ttl);
      ASSERT_EQ(lease->owner, expected.owner);
      ASSERT_EQ(lease->opened.fence != 0, expected.is_opened);
      ASSERT_EQ(arbiter.expiry_of(*lease).has_value(), expected.ttl.count() != 0);
    }
    for (const auto& [token, reason] : oracle_.ended()) {
      const auto ended = arbiter.ended_lease(token);
      ASSERT_TRUE(ended);
      ASSERT_EQ(ended->reason, reason);
    }
  }

  Choose random_;
  Arbiter arbiter_;
  OracleArbiter oracle_;
  Instant now_{std::chrono::milliseconds{1}};
  std::uint64_t number_ = 0;
  std::vector<OracleArbiter::Request> asked_;  // lately, by clients that chose their token
  std::map<WaiterId, std::uint64_t> numbers_;
  std::vector<OracleArbiter::Decision> decisions_;
  std::string journal_;
  bool is_late_ = false;
};

}  // namespace locker::core
