// Measures the cost of a decision behind the single entry to the table: LockService's mutex, the
// clocks, the rules, the record in the batch, the event. No HTTP, no disk. The simulation in
// scaling.py takes its costs from here.

#include <benchmark/benchmark.h>

#include <cstdlib>
#include <memory>
#include <string>
#include <vector>

#include "bench/held_locks.hpp"
#include "server/service/group_commit.hpp"
#include "server/service/lock_service.hpp"

namespace locker::bench {
namespace {

class NoDisk final : public persistence::Journal {
 public:
  persistence::Result<void> append(std::string_view, std::uint32_t) override { return {}; }
  core::Room room_for(std::size_t, bool, std::size_t) const override { return core::Room::enough; }
};

std::unique_ptr<core::Arbiter> arbiter_with(std::uint64_t held) {
  auto arbiter = std::make_unique<core::Arbiter>(1, core::Arbiter::Limits{});
  for (std::uint64_t n = 1; n <= held; ++n) {
    const core::Path path = path_number(n);
    if (!arbiter->replay(core::Granted{token_number(n), {n, 0}, {}, "bench", path})) std::abort();
  }
  return arbiter;
}

struct Door {
  explicit Door(std::uint64_t held)
      : service(arbiter_with(held), commit, events, journal, held + 1,
                server::LockService::Options{}) {}

  NoDisk journal;
  server::EventLog events{1, 0, 1};
  server::GroupCommit commit{journal, 0, [](const core::Fault&) {}};
  server::LockService service;
};

constexpr std::uint64_t paths_of_thread = 1 << 16U;

/// Each thread acquires and releases paths of its own, siblings of those that are held.
void pairs(benchmark::State& state) {
  static std::unique_ptr<Door> door;
  if (state.thread_index() == 0) {
    door = std::make_unique<Door>(static_cast<std::uint64_t>(state.range(0)));
  }
  std::vector<std::string> paths;  // packed: a core::Path reserves room for the longest path
  for (std::uint64_t n = 0; n < paths_of_thread; ++n) {
    const char leaf = static_cast<char>('e' + state.thread_index());
    paths.emplace_back(path_number(n * 7919 % 1'000'000, leaf).view().packed());
  }
  std::uint64_t n = 0;
  for (auto _ : state) {
    server::LockService& service = door->service;
    const core::PathView path{paths[n++ % paths_of_thread]};
    server::LockService::Blocker nobody;
    const auto taken = service.acquire_legacy(path, {}, "bench", nobody).answer;
    const auto given = service.release_legacy(path, taken.token);
    if (n % 64 == 0) door->commit.commit_until(given.index);
  }
  state.SetItemsProcessed(2 * state.iterations());
  if (state.thread_index() == 0) door.reset();
}
BENCHMARK(pairs)->Arg(0)->Arg(1'000'000)->ThreadRange(1, 2)->UseRealTime();

}  // namespace
}  // namespace locker::bench

BENCHMARK_MAIN();
