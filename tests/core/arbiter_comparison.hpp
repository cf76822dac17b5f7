#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

#include "tests/core/oracle_arbiter.hpp"
#include "tests/core/oracle_rules.hpp"
#include "tests/core/snapshot_of.hpp"

namespace locker::core {

/// Sends the same commands to Arbiter and to OracleArbiter, and compares everything, with
/// GoogleTest's assertions.
class ArbiterComparison final : public Arbiter::Host {
 public:
  /// `choose` decides what is done: random numbers, or the input of a fuzzer.
  using Choose = std::function<std::uint64_t()>;
  explicit ArbiterComparison(Choose choose, std::uint64_t hash_seed = 1)
      : random_(std::move(choose)),
        limits_(random_limits()),
        arbiter_(std::make_unique<Arbiter>(hash_seed, limits_)),
        oracle_(limits_) {
    arbiter_->start(*this, 1);
  }

  void run(int steps) {
    for (int step = 0; step < steps && !is_over(); ++step) {
      const std::chrono::milliseconds later{random_() % 40};
      if (random_() % 8 == 0) {
        now_ += later;  // the command comes before advance() has seen the new time
      } else {
        pass_time(later);
      }
      take_step();
    }
    if (!is_over()) restart();
    if (!is_over()) end_everything();
    ++(is_too_much_ ? counts_.given_up : counts_.finished);
    counts_.waits_ended = oracle_.waits_ended();
  }

  /// How often each thing was compared.
  struct Counts {
    static constexpr std::size_t outcomes = static_cast<std::size_t>(Outcome::superseded) + 1;
    static constexpr std::size_t events = static_cast<std::size_t>(EventKind::left) + 1;
    std::uint64_t finished = 0;  ///< Runs that reached their end.
    std::uint64_t given_up = 0;  ///< The others: too many orders of what was due at the same time.
    std::array<std::uint64_t, outcomes> answers{};    ///< Immediate ones.
    std::array<std::uint64_t, outcomes> decisions{};  ///< Of requests that waited.
    std::array<std::uint64_t, events> events_told{};
    std::uint64_t restarts = 0;
    std::uint64_t upgrades = 0;       ///< Or downgrades.
    std::uint64_t forced = 0;         ///< Locks, requests, leases that held nothing.
    std::uint64_t waits_ended = 0;    ///< By force, or by the waiting client.
    std::uint64_t leases_forced = 0;  ///< That held nothing.
    std::uint64_t waiters_named = 0;
    [[nodiscard]] std::uint64_t answered(Outcome outcome) const {
      return answers.at(static_cast<std::size_t>(outcome));
    }
    [[nodiscard]] std::uint64_t decided(Outcome outcome) const {
      return decisions.at(static_cast<std::size_t>(outcome));
    }
    [[nodiscard]] std::uint64_t told(EventKind kind) const {
      return events_told.at(static_cast<std::size_t>(kind));
    }
    Counts& operator+=(const Counts& other) {
      finished += other.finished;
      given_up += other.given_up;
      const auto add = [](auto& to, const auto& from) {
        std::transform(to.begin(), to.end(), from.begin(), to.begin(), std::plus<>{});
      };
      add(answers, other.answers);
      add(decisions, other.decisions);
      add(events_told, other.events_told);
      restarts += other.restarts;
      upgrades += other.upgrades;
      forced += other.forced;
      waits_ended += other.waits_ended;
      leases_forced += other.leases_forced;
      waiters_named += other.waiters_named;
      return *this;
    }
  };
  [[nodiscard]] const Counts& counts() const { return counts_; }

 private:
  static constexpr int tokens = 7;
  static constexpr std::size_t orders_max = 150;

  [[nodiscard]] bool is_over() const { return is_too_much_ || testing::Test::HasFatalFailure(); }

  static Token token_of(std::uint64_t number) {
    Token token;
    token.bytes[3] = static_cast<std::uint8_t>(number);
    token.bytes[4] = static_cast<std::uint8_t>(number >> 8U);
    token.bytes[9] = 1;
    return token;
  }

  /// Whether the client chose the token: one of the first few.
  static bool is_chosen(const Token& token) { return token.bytes[4] == 0; }

  /// In every other run so low that each limit is reached, and leases end in several turns.
  Arbiter::Limits random_limits() {
    Arbiter::Limits limits;
    if (random_() % 2 == 0) return limits;
    limits.locks_max = 3 + random_() % 10;
    limits.leases_max = 3 + random_() % 5;
    limits.waiters_max = 2 + random_() % 6;
    limits.waiters_of_lease_max = 1 + random_() % 3;
    limits.locks_of_lease_max = 2 + random_() % 3;
    limits.ended_at_once_max = 1 + random_() % 2;
    limits.woken_at_once_max = random_() % 3;
    return limits;
  }

  void on_record(const Record& record) override {
    append_record(record, journal_);
    if (const auto* const granted = std::get_if<Granted>(&record)) {
      recorded_ = {granted->id.fence, true};
      granted_[granted->id] = {std::string{granted->path.packed()}, granted->lock_delay};
    } else if (const auto* const cooling = std::get_if<Cooling>(&record)) {
      recorded_ = {cooling->id.fence, false};
    } else if (const auto* const ended = std::get_if<Ended>(&record)) {
      recorded_ = {ended->id.fence, false};
      if (ended->reason == End::changed) {
        // There is no event: the grant of another mode at the same path follows.
        ++counts_.upgrades;
        told_locks_.erase({ended->id.fence, granted_.at(ended->id).packed_path});
      }
      if (ended->reason != End::cooled && ended->reason != End::forced) {
        ASSERT_NE(ended->token, Token{});
      }
    }
  }
  void on_event(const Event& event) override {
    const std::string path{event.path.packed()};
    if (event.kind == EventKind::waiting) ++told_to_wait_[path];
    if (event.kind == EventKind::left) --told_to_wait_[path];
    note_event_of_lock(event, path);
  }
  /// Tracks what a reader of the events knows about locks.
  void note_event_of_lock(const Event& event, const std::string& path) {
    ++counts_.events_told.at(static_cast<std::size_t>(event.kind));
    const auto place = std::pair{event.fence, path};
    if (event.fence != 0) {
      ASSERT_EQ(std::exchange(recorded_, {}),
                (std::pair{event.fence, event.kind == EventKind::granted}));
    }
    switch (event.kind) {
      case EventKind::waiting:
      case EventKind::left:
        ASSERT_EQ(event.cooling.count(), 0U);
        return;
      case EventKind::granted:
        ASSERT_EQ(event.cooling.count(), 0U);
        ASSERT_TRUE(
            told_locks_.emplace(place, ToldLock{event.shape, std::string{event.owner}}).second);
        return;
      case EventKind::released:
      case EventKind::cooled:
      case EventKind::expired:
      case EventKind::forced:
        break;
    }
    const auto told = told_locks_.find(place);
    ASSERT_NE(told, told_locks_.end());
    ASSERT_EQ(told->second.shape, event.shape);
    ASSERT_EQ(told->second.owner, event.owner);
    ASSERT_EQ(event.kind == EventKind::cooled, told->second.is_cooling);
    const auto is_it = [&](const auto& granted) {
      return granted.first.fence == event.fence && granted.second.packed_path == path;
    };
    const auto granted = std::find_if(granted_.begin(), granted_.end(), is_it);
    ASSERT_NE(granted, granted_.end());
    const bool cools = !told->second.is_cooling && granted->second.lock_delay.count() != 0 &&
                       event.kind != EventKind::released;
    ASSERT_EQ(event.cooling, cools ? granted->second.lock_delay : Milliseconds{0});
    if (cools) {
      told->second.is_cooling = true;
    } else {
      told_locks_.erase(told);
    }
  }
  void on_decided(WaiterId waiter, Acquired&& acquired) override {
    // A waiter that is granted leaves without a `left` event.
    for (const auto& lock : acquired.locks) --told_to_wait_[lock.packed_path];
    if (acquired.outcome == Outcome::deadlock) {
      ASSERT_GE(acquired.cycle.size(), 2U);
    }
    ++counts_.decisions.at(static_cast<std::size_t>(acquired.outcome));
    decisions_.push_back(decision_of(numbers_.at(waiter), acquired));
    note_undeliverable(acquired);
  }
  Room room_for(std::size_t bytes, bool reserved) const override {
    if (reserved) return rooms_.ends;
    const bool is_too_much = rooms_.grants == Room::enough && bytes > rooms_.bytes;
    return is_too_much ? Room::soon : rooms_.grants;
  }

  /// Now and then a grant does not reach its client, which then knows no token for it.
  void note_undeliverable(const Acquired& acquired) {
    const bool is_known = is_chosen(acquired.token);
    if (acquired.outcome != Outcome::granted || is_known || random_() % 8 != 0) return;
    to_take_back_.push_back(acquired.token);
  }

  static OracleArbiter::Decision decision_of(std::uint64_t number, const Acquired& acquired) {
    OracleArbiter::Decision decision{number, acquired.outcome, {}, acquired.waited};
    for (const auto& lock : acquired.locks) decision.paths.push_back(lock.packed_path);
    if (acquired.ended) {
      decision.reason = acquired.ended->reason;
      decision.detail = acquired.ended->detail;
    }
    OracleArbiter::set_blockers(acquired.blocked_by, decision);
    return decision;
  }
  [[nodiscard]] Now now() const {
    return {now_, static_cast<Fence>(now_.time_since_epoch().count())};
  }

  /// All possible results of what is due: one for each order of what is due at the same time.
  void finish(OracleArbiter oracle, std::vector<OracleArbiter>& outcomes) const {
    std::vector<OracleArbiter::Due> due;
    for (due = oracle.next_due(); due.size() == 1 && due.front().when <= now_;
         due = oracle.next_due()) {
      oracle.end(due.front(), now_);
    }
    if (due.empty() || due.front().when > now_) {
      oracle.settle(now_);
      outcomes.push_back(std::move(oracle));
      return;
    }
    for (const OracleArbiter::Due& first : due) {
      if (outcomes.size() > orders_max) return;
      OracleArbiter other = oracle;
      other.end(first, now_);
      finish(std::move(other), outcomes);
    }
  }

  /// Carries out what is due, and what has become possible.
  void finish_work() {
    if (is_over()) return;
    while (arbiter_->advance(now(), 1 + random_() % 3)) {
    }
    std::vector<OracleArbiter> outcomes;
    finish(oracle_, outcomes);
    is_too_much_ = outcomes.size() > orders_max;
    if (is_over()) return;
    arbiter_->check_invariants();
    check_told_to_wait();
    const std::string got = picture(*arbiter_, std::exchange(decisions_, {}));
    for (OracleArbiter& outcome : outcomes) {
      if (picture(outcome) != got && &outcome != &outcomes.back()) continue;
      oracle_ = std::move(outcome);
      break;
    }
    ASSERT_EQ(got, picture(oracle_));
    static_cast<void>(oracle_.take_decisions());
    check_told_locks();
    if (now_ >= oracle_.stuck_until()) {
      ASSERT_FALSE(oracle_.has_deadlock());
    }
    take_back();
  }

  /// A reader of the events knows which owners wait where.
  void check_told_to_wait() {
    std::erase_if(told_to_wait_, [](const auto& count) { return count.second == 0; });
    std::map<std::string, int> waiting;
    arbiter_->for_each_waiter(0, [&](const Waiter& waiter) {
      for (const auto& wanted : waiter.wanted)
        waiting[wanted.packed_path] += waiter.is_kept ? 0 : 1;
      return true;
    });
    std::erase_if(waiting, [](const auto& count) { return count.second == 0; });
    ASSERT_EQ(told_to_wait_, waiting);
  }

  /// It also knows which locks are held, by whom, and which are cooling.
  void check_told_locks() const {
    ASSERT_EQ(told_locks_.size(), oracle_.locks().size());
    for (const auto& lock : oracle_.locks()) {
      const auto told = told_locks_.find({lock.fence, lock.packed_path});
      ASSERT_NE(told, told_locks_.end());
      ASSERT_EQ(told->second.shape, lock.shape);
      ASSERT_EQ(told->second.owner, lock.owner);
      ASSERT_EQ(told->second.is_cooling, lock.is_cooling);
    }
  }

  /// Finishes the work after a command; or only part of it, so that the next command comes while
  /// some of the waiters that can be granted are still queued.
  void finish_work_or_some() {
    if (is_over()) return;
    const auto due = oracle_.next_due();
    const bool is_calm =
        !is_scarce_ && now_ >= oracle_.stuck_until() && (due.empty() || due.front().when > now_);
    if (is_calm && random_() % 2 == 0) {
      for (std::uint64_t steps = random_() % 3; steps > 0; --steps) {
        static_cast<void>(arbiter_->advance(now(), 1));
      }
      OracleArbiter oracle = oracle_;
      oracle.settle(now_, decisions_.size());
      if (oracle.can_grant()) {
        ASSERT_EQ(picture(*arbiter_, decisions_), picture(oracle));
        oracle_ = std::move(oracle);
        return;
      }
    }
    finish_work();
  }

  /// Whether this is the end of a lease with so many locks that it takes several turns.
  [[nodiscard]] bool takes_turns(const OracleArbiter::Due& due) const {
    return due.lease && oracle_.locks_of(*due.lease) > limits_.ended_at_once_max;
  }

  /// Does each thing when it is due, or all of it late, as if the clock had not been read
  /// meanwhile.
  void pass_time(Duration by) {
    const Instant until = now_ + by;
    // While room is made, something is due every few milliseconds.
    const bool is_late = random_() % 8 == 0 || (is_scarce_ && by > std::chrono::milliseconds{100});
    while (!is_late && !is_over()) {
      const auto due = oracle_.next_due();
      Instant next = due.empty() ? Instant::max() : due.front().when;
      for (const Instant later : {oracle_.stuck_until(), oracle_.delayed_until()}) {
        if (later > now_) next = std::min(next, later);
      }
      if (next > until) break;
      now_ = std::max(now_, next);
      if (due.size() == 1 && due.front().when <= now_ &&
          random_() % (takes_turns(due[0]) ? 2 : 4) == 0) {
        // A command while more is due.
        arbiter_->advance(now(), 1);
        oracle_.end(due.front(), now_);
        if (random_() % (oracle_.has_expiring() ? 2 : 8) == 0) return restart();
        give_command();
      }
      finish_work();
    }
    now_ = until;
    finish_work();
  }

  std::string random_path() {
    static constexpr std::array<std::string_view, 3> names{"a", "b",
                                                           "a name that no node has room for"};
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
    if (is_over()) return;
    const auto dice = random_() % 52;
    if (dice == 0) return restart();
    if (dice == 1) return pass_time(std::chrono::seconds{random_() % 20});
    if (dice < 4) return change_rooms();
    give_command();
  }

  void give_command() {
    if (is_over()) return;
    const auto dice = random_() % 96;
    if (dice < 52) return acquire();
    if (dice < 72) return release();
    if (dice < 75) return release_all();
    if (dice < 79) return force();
    if (dice < 81) return open_lease();
    if (dice < 87) return renew();
    if (dice < 93) return abandon();
    acquire_legacy();
  }

  /// Nearly always the same for the same client, so that its requests are repetitions.
  Milliseconds ttl_of(std::uint64_t who) {
    if (random_() % 12 == 0) who += 1 + random_() % 3;
    if (who % 3 == 0) return Milliseconds{0};
    const std::uint32_t shortest = who % 2 == 0 ? 203 : 5'003;
    return Milliseconds{static_cast<std::uint32_t>(shortest + 100 * (who % 100))};
  }
  /// Often so long that the wait ends at the same time as something else.
  Duration random_wait() {
    const auto dice = random_() % 6;
    if (dice < 2) return Duration{0};
    const auto due = oracle_.next_due();
    if (dice == 2 && !due.empty() && due.front().when > now_) return due.front().when - now_;
    return std::chrono::milliseconds{1 + random_() % 9'000};
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
    if (random_() % 12 == 0) request.meta = random_() % 2 == 0 ? "why" : std::string(4'000, 'w');
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

  /// A request for a lock that a client already holds, if there is one.
  OracleArbiter::Request request_of_another_mode() {
    OracleArbiter::Request request = random_request();
    if (oracle_.locks().empty()) return request;
    const auto& lock = oracle_.locks()[random_() % oracle_.locks().size()];
    if (lock.is_cooling || !is_chosen(lock.token)) return request;
    request.is_chosen = true;
    request.token = lock.token;
    request.asked_owner = std::nullopt;
    request.ttl = std::nullopt;
    request.owner = "";
    request.wanted = {{lock.packed_path, lock.shape}};
    request.any = 0;
    Mode& mode = request.wanted.front().shape.mode;
    mode = mode == Mode::shared ? Mode::exclusive : Mode::shared;
    return request;
  }

  void acquire() {
    // Often a client repeats an earlier request, whatever has become of that.
    const auto dice = random_() % 16;
    const bool is_again = !asked_.empty() && dice < 4;
    OracleArbiter::Request request = is_again    ? asked_[random_() % asked_.size()]
                                     : dice == 4 ? request_of_another_mode()
                                                 : random_request();
    request.number = ++number_;
    if (request.is_chosen && !is_again) {
      if (asked_.size() == 8) asked_.erase(asked_.begin());
      asked_.push_back(request);
    }
    const Duration wait = random_wait();

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
    const bool had_lease = oracle_.leases().contains(request.token);
    const Acquired acquired = arbiter_->acquire(command, now());
    ++counts_.answers.at(static_cast<std::size_t>(acquired.outcome));
    if (acquired.outcome == Outcome::queued) numbers_[acquired.waiter] = request.number;
    note_undeliverable(acquired);
    if (acquired.outcome == Outcome::deadlock) {
      ASSERT_TRUE(oracle_.is_cycle(request, acquired.cycle))
          << name_of(request, acquired.cycle) << picture(oracle_);
    }
    const auto expected = oracle_.acquire(request, wait, now_);
    ASSERT_EQ(name_of({decision_of(request.number, acquired)}), name_of({expected}))
        << name_of(request, acquired.cycle) << picture(oracle_);
    if (acquired.outcome == Outcome::blocked) check_blockers(request, acquired.blocked_by);
    ASSERT_EQ(acquired.in_use.has_value(), acquired.outcome == Outcome::token_in_use);
    if (acquired.in_use) check_use(request, *acquired.in_use);
    if (acquired.outcome == Outcome::deadlock) {
      ASSERT_GE(acquired.cycle.size(), 2U);
    }
    if (acquired.outcome == Outcome::granted) {
      ASSERT_EQ(acquired.lease_is_fresh, !had_lease);
    }
    check_granted(acquired);
    finish_work_or_some();
  }

  /// The parameter that is named does differ, and is reported with its actual value.
  void check_use(const OracleArbiter::Request& asked, const TokenUse& use) const {
    using Parameter = TokenUse::Parameter;
    const auto lease = oracle_.leases().find(asked.token);
    const bool has_lease = lease != oracle_.leases().end();
    if (!use.packed_path) {
      ASSERT_EQ(use.differs, Parameter::owner);
      ASSERT_TRUE(asked.asked_owner);
      ASSERT_NE(*asked.asked_owner, use.text);
      ASSERT_TRUE((has_lease && lease->second.owner == use.text) ||
                  std::any_of(oracle_.requests().begin(), oracle_.requests().end(),
                              [&](const auto& request) {
                                return request.token == asked.token && request.owner == use.text;
                              }));
      return;
    }
    const auto is_there = [&](const auto& its) { return its.packed_path == *use.packed_path; };
    const auto wanted = std::find_if(asked.wanted.begin(), asked.wanted.end(), is_there);
    ASSERT_NE(wanted, asked.wanted.end());
    const Shape& shape = wanted->shape;
    const auto differs_from = [&](const Shape& its, const std::string& meta,
                                  Milliseconds lock_delay, std::optional<Milliseconds> ttl) {
      switch (use.differs) {
        case Parameter::none:
        case Parameter::any:
          return true;
        case Parameter::owner:
          return false;
        case Parameter::ttl:
          return asked.ttl != ttl && use.duration == ttl.value_or(Milliseconds{0});
        case Parameter::mode:
          return shape.mode != its.mode && use.shape.mode == its.mode;
        case Parameter::lock_parents:
          return shape.lock_parents != its.lock_parents &&
                 use.shape.lock_parents == its.lock_parents;
        case Parameter::lock_children:
          return shape.lock_children != its.lock_children &&
                 use.shape.lock_children == its.lock_children;
        case Parameter::meta:
          return !asked.meta.empty() && asked.meta != meta && use.text == meta;
        case Parameter::lock_delay:
          return asked.lock_delay.count() != 0 && asked.lock_delay != lock_delay &&
                 use.duration == lock_delay;
      }
      return false;
    };
    if (use.is_held) {
      ASSERT_TRUE(has_lease);
      ASSERT_NE(use.differs, Parameter::any);
      ASSERT_TRUE(
          std::any_of(oracle_.locks().begin(), oracle_.locks().end(), [&](const auto& lock) {
            return lock.token == asked.token && !lock.is_cooling && is_there(lock) &&
                   differs_from(lock.shape, lock.meta, lock.lock_delay, lease->second.ttl);
          }));
      return;
    }
    ASSERT_TRUE(
        std::any_of(oracle_.requests().begin(), oracle_.requests().end(), [&](const auto& request) {
          if (request.token != asked.token || request.is_kept) return false;
          const bool has_as_many =
              use.differs != Parameter::any || (request.any != asked.any && request.any == use.any);
          return has_as_many &&
                 std::any_of(request.wanted.begin(), request.wanted.end(), [&](const auto& its) {
                   return is_there(its) &&
                          differs_from(its.shape, request.meta, request.lock_delay, request.ttl);
                 });
        }));
  }

  /// What a grant reports is what is held.
  void check_granted(const Acquired& acquired) const {
    const bool is_held =
        acquired.outcome == Outcome::granted || acquired.outcome == Outcome::held_already;
    if (!is_held) return;
    const auto& lease = oracle_.leases().at(acquired.token);
    ASSERT_EQ(acquired.owner, lease.owner);
    ASSERT_EQ(acquired.ttl, lease.ttl);
    for (const auto& wanted : acquired.locks) {
      const bool is_there =
          std::any_of(oracle_.locks().begin(), oracle_.locks().end(), [&](const auto& lock) {
            return lock.token == acquired.token && !lock.is_cooling &&
                   lock.packed_path == wanted.packed_path && lock.shape == wanted.shape &&
                   lock.fence == acquired.fence;
          });
      ASSERT_TRUE(is_there);
    }
  }

  /// The first blocker named is the nearest. That all are named is checked with the decision.
  void check_blockers(const OracleArbiter::Request& request,
                      const std::vector<LockInfo>& blockers) {
    ASSERT_FALSE(blockers.empty());
    counts_.waiters_named += static_cast<std::uint64_t>(std::count_if(
        blockers.begin(), blockers.end(),
        [](const LockInfo& blocker) { return blocker.state == LockInfo::State::waiting; }));
    const auto holders = oracle_.holders_in_the_way(request);
    if (request.wanted.size() != 1 || holders.empty()) return;
    const PathView path = request.wanted.front().path();
    const auto is_before = [&](const auto& a, const auto& b) {
      const auto rank = [&](const auto& lock) {  // at and above the path: the deepest first
        const PathView its{lock.packed_path};
        return its == path || oracle::is_below(path, its) ? segments_max - its.depth()
                                                          : segments_max + 1;
      };
      return std::pair{rank(a), a.fence} < std::pair{rank(b), b.fence};
    };
    const auto& first = *std::min_element(holders.begin(), holders.end(), is_before);
    const auto& named_first = blockers.front();
    const bool is_above =
        first.packed_path == path.packed() || oracle::is_below(path, PathView{first.packed_path});
    if (is_above) {
      ASSERT_EQ(named_first.packed_path, first.packed_path);
    }
  }

  void acquire_legacy() {
    const Token token = token_of(1'000 + ++number_);
    const Wanted wanted{random_path(), random_shape()};
    const std::string owner = owner_of(number_);
    const Milliseconds ttl = ttl_of(number_);
    const auto acquired =
        arbiter_->acquire_legacy(wanted.path(), wanted.shape, owner, token, ttl, now());
    ASSERT_EQ(acquired.outcome, oracle_.acquire_legacy(token, wanted, owner, ttl, now_));
    if (acquired.blocker) {
      const Path path = arbiter_->table().path_of(*acquired.blocker);
      ASSERT_TRUE(oracle::blocks(path, acquired.blocker->shape, wanted.path()));
    }
    finish_work_or_some();
  }

  void release() {
    Token token = token_of(random_() % tokens);
    std::string path = random_path();
    const auto& requests = oracle_.requests();
    if (!requests.empty() && random_() % 16 == 0) {
      const auto& request = requests[random_() % requests.size()];
      token = request.token;
      path = request.wanted[random_() % request.wanted.size()].packed_path;
    } else if (!oracle_.locks().empty() && random_() % 8 != 0) {
      const auto& lock = oracle_.locks()[random_() % oracle_.locks().size()];
      if (random_() % 8 != 0) token = lock.token;
      path = lock.packed_path;
    }
    const auto released = arbiter_->release(token, PathView{path}, now());
    compare(released, oracle_.release(token, path, now_));
    finish_work_or_some();
  }

  void release_all() {
    const Token token = token_of(random_() % tokens);
    const auto released = arbiter_->release_all(token, now());
    compare(released, oracle_.release_all(token, now_));
    finish_work_or_some();
  }

  static void compare(const Released& got, const Released& expected) {
    ASSERT_EQ(got.outcome, expected.outcome);
    ASSERT_EQ(got.fence, expected.fence);
    ASSERT_EQ(got.count, expected.count);
    ASSERT_EQ(got.ended.has_value(), expected.ended.has_value());
    if (!expected.ended) return;
    ASSERT_EQ(got.ended->reason, expected.ended->reason);
    ASSERT_EQ(got.ended->detail, expected.ended->detail);
  }

  /// Checks what an answer says about a lease that is alive, or has ended.
  void check_lease(const Token& token, const LeaseAnswer& answer) const {
    if (answer.outcome == LeaseOutcome::living || answer.outcome == LeaseOutcome::opened) {
      const auto& lease = oracle_.leases().at(token);
      ASSERT_EQ(answer.token, token);
      ASSERT_EQ(answer.owner, lease.owner);
      ASSERT_EQ(answer.ttl, lease.ttl);
    } else if (answer.outcome == LeaseOutcome::ended) {
      ASSERT_TRUE(answer.ended);
      ASSERT_EQ(answer.ended->reason, oracle_.ended().at(token).reason);
      ASSERT_EQ(answer.ended->detail, oracle_.ended().at(token).detail);
    }
  }

  /// Takes back grants that could not be delivered, if the journal has room for that.
  void take_back() {
    std::erase_if(to_take_back_, [this](const Token& token) {
      const auto released = arbiter_->release_all(token, now());
      compare(released, oracle_.release_all(token, now_));
      return released.outcome != ReleaseOutcome::busy &&
             released.outcome != ReleaseOutcome::disk_full;
    });
  }

  void force() {
    ForceFilter filter;
    filter.ends_cooling = random_() % 2 == 0;
    filter.ends_waiting = random_() % 4 == 0;
    const auto dice = random_() % 9;
    if (dice == 0) {
      filter.packed_prefix = random_path();
    } else if (dice == 1) {
      filter.owner = owner_of(random_() % tokens);
      filter.packed_prefix = random_path();
    } else if (dice == 8) {
      filter.owner = owner_of(random_() % tokens);
    } else {
      filter.packed_path = random_path();
      if (dice == 2 && !oracle_.locks().empty()) {
        const auto& lock = oracle_.locks()[random_() % oracle_.locks().size()];
        filter.packed_path = lock.packed_path;
        filter.fence = lock.fence + random_() % 2;
      }
    }
    const std::string detail = "why " + std::to_string(number_);
    const auto holds_nothing = [this](const auto& lease) {
      return oracle_.locks_of(lease.first) == 0;
    };
    const auto leases_without_locks = [&] {
      return std::count_if(oracle_.leases().begin(), oracle_.leases().end(), holds_nothing);
    };
    const auto without_locks_before = leases_without_locks();
    const auto forced = arbiter_->force(filter, detail, now());
    const auto expected = oracle_.force(filter, detail, now_);
    ASSERT_EQ(forced.outcome, expected.outcome);
    ASSERT_EQ(forced.count, expected.count);
    counts_.forced += forced.count;
    counts_.leases_forced +=
        static_cast<std::uint64_t>(without_locks_before - leases_without_locks());
    finish_work_or_some();
  }

  void open_lease() {
    const std::uint64_t who = random_() % tokens;
    const std::string owner = owner_of(who);
    const Milliseconds ttl = ttl_of(who);
    const auto opened = arbiter_->open_lease(token_of(who), {}, owner, ttl, now());
    ASSERT_EQ(opened.outcome, oracle_.open_lease(token_of(who), owner, ttl, now_));
    check_lease(token_of(who), opened);
    finish_work_or_some();
  }

  void renew() {
    const std::uint64_t who = random_() % tokens;
    std::optional<Milliseconds> ttl;
    if (random_() % 4 == 0) ttl = ttl_of(who);
    const auto renewed = arbiter_->renew(token_of(who), ttl, now());
    ASSERT_EQ(renewed.outcome, oracle_.renew(token_of(who), ttl, now_));
    check_lease(token_of(who), renewed);
    if (renewed.outcome == LeaseOutcome::living) {
      ASSERT_EQ(renewed.locks, oracle_.locks_of(token_of(who)));
      ASSERT_EQ(renewed.newest_fence, oracle_.newest_fence_of(token_of(who)));
      ASSERT_EQ(renewed.waiters, oracle_.waiters_behind(token_of(who)));
    }
    finish_work_or_some();
  }

  void abandon() {
    if (numbers_.empty()) return;
    auto at = numbers_.begin();
    std::advance(at, static_cast<std::ptrdiff_t>(random_() % numbers_.size()));
    const bool expected = oracle_.abandon(at->second, now_);
    ASSERT_EQ(arbiter_->abandon(at->first, now()), expected);
    finish_work_or_some();
  }

  void change_rooms() {
    static constexpr std::array<OracleArbiter::Rooms, 5> scarce{
        {{Room::soon, Room::enough},
         {Room::none, Room::enough},
         {Room::soon, Room::soon},
         {Room::none, Room::none},
         {Room::enough, Room::enough, record_bytes_max}}};
    is_scarce_ = !is_scarce_;
    set_rooms(is_scarce_ ? scarce[random_() % scarce.size()] : OracleArbiter::Rooms{});
  }
  void set_rooms(const OracleArbiter::Rooms& rooms) {
    rooms_ = rooms;
    oracle_.set_rooms(rooms);
  }

  /// Replay of the journal restores the same state, except for waiters.
  void restart() {
    ++counts_.restarts;
    const bool from_snapshot = random_() % 2 == 0;
    if (from_snapshot) journal_ = snapshot_of(journal_);
    const std::string journal = journal_;
    const Fence first_fence = arbiter_->last_fence() + 1;
    arbiter_ = std::make_unique<Arbiter>(random_(), limits_);
    RecordReader reader{journal};
    Record record;
    while (reader.next(record)) ASSERT_TRUE(arbiter_->replay(record));
    ASSERT_EQ(reader.fault(), nullptr);
    now_ = Instant{};
    arbiter_->start(*this, first_fence);
    oracle_.restart(from_snapshot);
    static_cast<void>(oracle_.take_decisions());
    decisions_.clear();
    numbers_.clear();
    told_to_wait_.clear();
    to_take_back_.clear();
    for (const auto& [token, expected] : oracle_.ended()) {
      const auto ended = arbiter_->ended_lease(token);
      ASSERT_TRUE(ended);
      ASSERT_EQ(ended->reason, expected.reason);
    }
    finish_work();
  }

  /// Ends everything; nothing may be left: no place, no timer.
  void end_everything() {
    set_rooms({});
    ForceFilter all;
    all.packed_prefix = "";
    all.ends_cooling = true;
    const auto leases = oracle_.leases();
    for (const auto& [token, lease] : leases) {
      const auto released = arbiter_->release_all(token, now());
      compare(released, oracle_.release_all(token, now_));
    }
    ASSERT_EQ(arbiter_->force(all, "", now()).count, oracle_.force(all, "", now_).count);
    finish_work();
    // Waiters that were granted meanwhile.
    for (int again = 0; again < 3; ++again) {
      const auto numbers = numbers_;
      for (const auto& [waiter, number] : numbers) {
        ASSERT_EQ(arbiter_->abandon(waiter, now()), oracle_.abandon(number, now_));
      }
      ASSERT_EQ(arbiter_->force(all, "", now()).count, oracle_.force(all, "", now_).count);
      pass_time(std::chrono::seconds{60});
    }
    if (is_over()) return;
    ASSERT_EQ(arbiter_->waiter_count(), 0U);
    ASSERT_EQ(arbiter_->table().lock_count(), 0U);
    ASSERT_EQ(arbiter_->table().lease_count(), 0U);
    ASSERT_EQ(arbiter_->table().node_count(), 0U);
    ASSERT_FALSE(arbiter_->next_due());
  }

  static std::string name_of(const Token& token) {
    return std::to_string(token.bytes[3] + 256 * token.bytes[4]);
  }
  static std::string name_of(const Shape& shape) {
    return std::string{shape.mode == Mode::shared ? " shared" : " exclusive"} +
           (shape.lock_parents ? "" : " -parents") + (shape.lock_children ? "" : " -children");
  }
  static std::string name_of(PathView path) {
    std::string name = " ";
    for (const std::string_view segment : path) name.append("/").append(segment);
    return name;
  }
  static std::string name_of(std::optional<Instant> instant) {
    return instant ? " until " + std::to_string(instant->time_since_epoch().count() / 1'000) : "";
  }
  static std::string name_of(const Wanted& wanted) {
    return name_of(wanted.path()) + name_of(wanted.shape);
  }
  static std::string name_of(const OracleArbiter::Request& request,
                             const std::vector<CycleStep>& cycle) {
    std::string names = "asked by " + name_of(request.token) + " '" + request.owner + "':";
    for (const auto& wanted : request.wanted) names += name_of(wanted);
    for (const auto& step : cycle) {
      names += "\nof '" + step.owner + "', who waits for" + name_of(PathView{step.waits_for}) +
               " behind" + name_of(PathView{step.blocked_by}) + ' ' + std::to_string(step.fence);
    }
    return names + '\n';
  }
  static std::string name_of(std::vector<OracleArbiter::Decision> decisions) {
    for (auto& decision : decisions) std::sort(decision.paths.begin(), decision.paths.end());
    std::sort(decisions.begin(), decisions.end());
    std::string names;
    for (const auto& decision : decisions) {
      names += "decided " + std::to_string(decision.number) + ": " +
               std::to_string(static_cast<int>(decision.outcome)) + " after " +
               std::to_string(decision.waited.count()) + ' ' +
               std::string{core::name_of(decision.reason)} + " '" + decision.detail + "'";
      for (const std::string& path : decision.paths) names += name_of(PathView{path});
      for (const std::string& blocker : decision.blockers) names += "\n  behind " + blocker;
      names += '\n';
    }
    return names;
  }

  /// All visible state, one item per line.
  static std::string picture(const Arbiter& arbiter,
                             std::vector<OracleArbiter::Decision> decisions) {
    const LockTable& table = arbiter.table();
    std::string picture;
    std::set<Token> leases;
    table.for_each_lock([&](const HeldLock& held) {
      if (!held.is_cooling) leases.insert(table.token_of(held));
      picture += (held.is_cooling ? "cooling" : "lock of " + name_of(table.token_of(held))) +
                 name_of(table.path_of(held).view()) + name_of(held.shape) + " '" +
                 std::string{held.owner} + "' '" + std::string{table.meta_of(held)} + "' " +
                 std::to_string(table.lock_delay_of(held).count()) + " fence " +
                 std::to_string(held.id.fence) +
                 name_of(held.is_cooling ? arbiter.describe(held).expires : std::nullopt) + '\n';
    });
    for (std::uint64_t who = 0; who < tokens; ++who) leases.insert(token_of(who));
    std::size_t count = 0;
    for (const Token& token : leases) {
      const auto lease = table.find_lease_of(token);
      const auto ended = arbiter.ended_lease(token);
      if (lease) {
        ++count;
        picture += "lease " + name_of(token) + " '" + std::string{lease->owner} + "' " +
                   std::to_string(lease->ttl.count()) +
                   (lease->opened.fence != 0 ? " opened" : "") +
                   name_of(arbiter.expiry_of(*lease)) + '\n';
      } else if (ended) {
        picture +=
            "ended " + name_of(token) + ": " + std::string{core::name_of(ended->reason)} + '\n';
      }
    }
    EXPECT_EQ(count, table.lease_count());
    arbiter.for_each_waiter(0, [&](const Waiter& waiter) {
      picture += "waiter " + name_of(waiter.token) + (waiter.is_kept ? " kept" : "") +
                 (waiter.changes_mode ? " upgrade" : "");
      for (const auto& wanted : waiter.wanted) picture += name_of(wanted);
      picture += '\n';
      return true;
    });
    return picture + name_of(std::move(decisions));
  }

  static std::string picture(OracleArbiter oracle) {
    std::string picture;
    std::set<Token> leases;
    for (const auto& lock : oracle.locks()) {
      picture += (lock.is_cooling ? "cooling" : "lock of " + name_of(lock.token)) +
                 name_of(PathView{lock.packed_path}) + name_of(lock.shape) + " '" + lock.owner +
                 "' '" + lock.meta + "' " + std::to_string(lock.lock_delay.count()) + " fence " +
                 std::to_string(lock.fence) +
                 name_of(lock.is_cooling ? std::optional{lock.cools_until} : std::nullopt) + '\n';
    }
    for (const auto& [token, lease] : oracle.leases()) leases.insert(token);
    for (std::uint64_t who = 0; who < tokens; ++who) leases.insert(token_of(who));
    for (const Token& token : leases) {
      const auto lease = oracle.leases().find(token);
      const auto ended = oracle.ended().find(token);
      if (lease != oracle.leases().end()) {
        const Instant expires = lease->second.expires;
        picture +=
            "lease " + name_of(token) + " '" + lease->second.owner + "' " +
            std::to_string(lease->second.ttl.count()) + (lease->second.is_opened ? " opened" : "") +
            name_of(expires == Instant::max() ? std::nullopt : std::optional{expires}) + '\n';
      } else if (ended != oracle.ended().end()) {
        picture += "ended " + name_of(token) + ": " +
                   std::string{core::name_of(ended->second.reason)} + '\n';
      }
    }
    for (const auto& request : oracle.requests()) {
      picture += "waiter " + name_of(request.token) + (request.is_kept ? " kept" : "") +
                 (request.changes_mode ? " upgrade" : "");
      for (const auto& wanted : request.wanted) picture += name_of(wanted);
      picture += '\n';
    }
    return picture + name_of(oracle.take_decisions());
  }

  Choose random_;
  const Arbiter::Limits limits_;
  std::unique_ptr<Arbiter> arbiter_;
  OracleArbiter oracle_;
  OracleArbiter::Rooms rooms_;
  bool is_scarce_ = false;
  Instant now_{std::chrono::milliseconds{1}};
  std::uint64_t number_ = 0;
  std::vector<OracleArbiter::Request> asked_;  // recently, by clients that chose their token
  std::map<WaiterId, std::uint64_t> numbers_;
  std::vector<OracleArbiter::Decision> decisions_;
  std::map<std::string, int> told_to_wait_;  // waiters at each path, according to events
  struct ToldLock {
    Shape shape;
    std::string owner;
    bool is_cooling = false;
  };
  std::map<std::pair<Fence, std::string>, ToldLock> told_locks_;  // according to events
  struct GrantedLock {
    std::string packed_path;
    Milliseconds lock_delay{};
  };
  std::map<LockId, GrantedLock> granted_;  // according to records
  // Of the last record, if its event has not come yet: the fence, and whether it is a grant.
  std::pair<Fence, bool> recorded_;
  std::vector<Token> to_take_back_;
  std::string journal_;
  Counts counts_;
  bool is_too_much_ = false;  // too much is due at one time to try all orders
};

}  // namespace locker::core
