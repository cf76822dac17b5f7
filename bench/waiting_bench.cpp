// Measures what many waiters, or many leases whose time runs, cost everybody else. Prints, for
// 100,000 waiters on one path and under one root, the time to queue them, and the longest time that
// the table's mutex is held while they are granted or leave: the server does up to 256 things at a
// time. Prints the same for a million leases as their ends approach.

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <string>
#include <vector>

#include "bench/held_locks.hpp"
#include "core/arbiter.hpp"

namespace locker::bench {
namespace {

using Clock = std::chrono::steady_clock;

double microseconds_since(Clock::time_point began) {
  return std::chrono::duration<double, std::micro>(Clock::now() - began).count();
}

class Silent final : public core::Arbiter::Host {
 public:
  void on_record(const core::Record&) override {}
  void on_event(const core::Event&) override {}
  void on_decided(core::WaiterId, core::Acquired&& acquired) override {
    if (acquired.outcome == core::Outcome::granted) last = acquired.token;
    ++decided;
  }
  core::Room room_for(std::size_t, bool) const override { return core::Room::enough; }
  core::Token last;
  std::size_t decided = 0;
};

core::Path path_of(const std::string& name, std::uint64_t number) {
  core::Path path;
  static_cast<void>(path.push_back("root"));
  if (!name.empty()) static_cast<void>(path.push_back(name + std::to_string(number)));
  return path;
}

struct Queue {
  explicit Queue(const std::string& name, core::Mode mode, std::size_t count) {
    arbiter.start(host, 1);
    holder = ask("", 0, core::Mode::exclusive, 0).token;
    const auto began = Clock::now();
    for (std::size_t n = 1; n <= count; ++n) waiters.push_back(ask(name, n, mode, n).waiter);
    std::printf("  queued one in %.1f us\n",
                microseconds_since(began) / static_cast<double>(count));
  }
  core::Acquired ask(const std::string& name, std::uint64_t n, core::Mode mode,
                     std::uint64_t token) {
    core::AcquireCommand command;
    const core::Path path = path_of(name, n);
    command.wanted.push_back({std::string{path.view().packed()}, {mode, true, true}});
    command.fresh_token = token_number(token);
    command.wait = std::chrono::hours{1};
    return arbiter.acquire(command, now);
  }
  /// Prints the number of slices until nothing is left to do, and the longest one.
  void work(const char* what) {
    double longest = 0;
    double sum = 0;
    std::size_t slices = 0;
    for (bool more = true; more; ++slices) {
      const auto began = Clock::now();
      more = arbiter.advance(now, 256);
      const double took = microseconds_since(began);
      longest = std::max(longest, took);
      sum += took;
    }
    std::printf(
        "  %s: %zu decided, %zu slices, longest %.0f us, %.0f ms in all; "
        "slowest release %.0f us\n",
        what, host.decided, slices, longest, sum / 1000, slowest_release);
  }
  void release(const core::Token& token, const std::string& name, std::uint64_t n) {
    const auto began = Clock::now();
    static_cast<void>(arbiter.release(token, path_of(name, n), now));
    slowest_release = std::max(slowest_release, microseconds_since(began));
  }

  double slowest_release = 0;
  Silent host;
  core::Arbiter arbiter{1, {}};
  core::Now now{core::Instant{std::chrono::seconds{1}}, 1};
  core::Token holder;
  std::vector<core::WaiterId> waiters;
};

void run(std::size_t count) {
  std::printf("%zu exclusive waiters on one path\n", count);
  {
    Queue queue{"", core::Mode::exclusive, count};
    core::Token token = queue.holder;
    const auto began = Clock::now();
    constexpr int hand_overs = 1000;
    for (int i = 0; i < hand_overs; ++i) {
      queue.release(token, "", 0);
      while (queue.arbiter.advance(queue.now, 256)) {
      }
      token = queue.host.last;
    }
    std::printf("  hand-over from one to the next in %.1f us\n",
                microseconds_since(began) / hand_overs);
    const auto left = Clock::now();
    for (std::size_t n = hand_overs; n < count; n += 2) {
      queue.arbiter.abandon(queue.waiters[n], queue.now);
    }
    std::printf("  every second one left, one in %.1f us\n",
                microseconds_since(left) / static_cast<double>(count - hand_overs) * 2);
    queue.work("what that left over");
  }
  for (const auto& [name, mode, text] :
       {std::tuple{"", core::Mode::shared, "shared waiters on one path"},
        std::tuple{"leaf", core::Mode::exclusive, "waiters under one root"}}) {
    std::printf("%zu %s\n", count, text);
    Queue queue{name, mode, count};
    queue.release(queue.holder, "", 0);
    queue.work("all granted");
  }
}

/// Renewed in mixed order, all within a second. Their timers move to finer slots of the wheel; none
/// of them ends.
void run_leases(std::size_t count) {
  std::printf("%zu leases that end in the same second\n", count);
  Silent host;
  core::Arbiter arbiter{1, {}};
  arbiter.start(host, 1);
  core::Now now{core::Instant{}, 1};
  for (std::size_t n = 0; n < count; ++n) {
    const core::Token token = token_number(n + 1);
    static_cast<void>(arbiter.open_lease(token, token, {}, core::Milliseconds{300'000}, now));
  }
  for (std::size_t n = 0; n < count; ++n) {
    now.instant = core::Instant{std::chrono::milliseconds{1'000 * n / count}};
    static_cast<void>(arbiter.renew(token_number(n * 618'033'989 % count + 1), {}, now));
  }
  double longest = 0;
  for (int ms = 1'000; ms < 300'000; ++ms) {
    now.instant = core::Instant{std::chrono::milliseconds{ms}};
    for (bool more = true; more;) {
      const auto began = Clock::now();
      more = arbiter.advance(now, 256);
      longest = std::max(longest, microseconds_since(began));
    }
  }
  std::printf("  longest slice %.0f us\n", longest);
}

}  // namespace
}  // namespace locker::bench

int main() {
  locker::bench::run(100'000);
  locker::bench::run_leases(1'000'000);
}
