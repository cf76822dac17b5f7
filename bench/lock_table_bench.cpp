// Measures the cost of the table, and whether it stays constant with the number of locks held.

#include <benchmark/benchmark.h>

#include <map>
#include <memory>
#include <random>

#include "bench/held_locks.hpp"
#include "server/service/memory_ahead.hpp"

namespace locker::bench {
namespace {

/// Made once for each number: the library calls a benchmark several times to find its length.
core::LockTable& table_with(std::uint64_t held) {
  static server::MemoryAhead memory;  // as in lockerd
  static std::map<std::uint64_t, std::unique_ptr<core::LockTable>> tables;
  auto& table = tables[held];
  if (table == nullptr) {
    tables.clear();  // one at a time: the largest takes 2 GB
    auto& made = tables[held] = std::make_unique<core::LockTable>(42, &memory);
    hold(*made, held);
    return *made;
  }
  return *table;
}

void acquire_and_release(benchmark::State& state) {
  const auto held = static_cast<std::uint64_t>(state.range(0));
  core::LockTable& table = table_with(held);
  std::mt19937_64 random{7};
  std::vector<std::pair<std::string, core::Token>> work;
  for (int i = 0; i < 4096; ++i) {
    const std::uint64_t n = 1 + random() % (held + 1);
    work.emplace_back(path_number(n, 'e').view().packed(),
                      token_number(held + 2 + random() % 1'000'000'000));
  }
  std::uint64_t fence = table.last_id().fence;
  std::size_t next = 0;
  for (auto _ : state) {
    const auto& [packed, token] = work[next++ % work.size()];
    const core::PathView path{packed};
    const core::AcquireRequest request{path, {}, core::ClashRule::symmetric, token};
    if (table.blocker(request)) state.SkipWithError("unexpected clash");
    table.apply(core::Granted{token, {++fence, 0}, {}, {}, path});
    table.apply(core::Ended{token, {fence, 0}, core::End::released});
  }
  state.SetItemsProcessed(state.iterations());
}
BENCHMARK(acquire_and_release)->Arg(0)->Arg(1'000'000)->Arg(10'000'000);

/// Replaces all held locks: releases the oldest and grants another one. Makes the paths as it goes,
/// which is part of the time.
void turn_over(benchmark::State& state) {
  const auto held = static_cast<std::uint64_t>(state.range(0));
  core::LockTable table{42};
  hold(table, held);
  std::uint64_t oldest = 1;
  for (auto _ : state) {
    table.apply(core::Ended{token_number(oldest), {oldest, 0}, core::End::released});
    const std::uint64_t newest = held + oldest++;
    const core::Path path = path_number(1 + newest % (2 * held));
    const core::Token token = token_number(newest);
    const core::AcquireRequest request{path, {}, core::ClashRule::symmetric, token};
    if (table.blocker(request)) state.SkipWithError("unexpected clash");
    table.apply(core::Granted{token, {newest, 0}, {}, {}, path});
  }
  state.SetItemsProcessed(state.iterations());
}
// 5,000 nearly fill one bucket of each hash table.
BENCHMARK(turn_over)->Arg(5'000)->Arg(1'000'000)->Iterations(3'000'000);

void query(benchmark::State& state) {
  const auto held = static_cast<std::uint64_t>(state.range(0));
  core::LockTable& table = table_with(held);
  std::mt19937_64 random{7};
  std::vector<core::Path> paths;
  paths.reserve(4096);
  for (int i = 0; i < 4096; ++i) paths.push_back(path_number(1 + random() % held));
  std::size_t next = 0;
  for (auto _ : state) benchmark::DoNotOptimize(table.legacy_blocker(paths[next++ % paths.size()]));
  state.SetItemsProcessed(state.iterations());
}
BENCHMARK(query)->Arg(1'000'000)->Arg(10'000'000);

}  // namespace
}  // namespace locker::bench

BENCHMARK_MAIN();
