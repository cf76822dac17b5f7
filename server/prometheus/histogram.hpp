#pragma once

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>

namespace locker::server {

/// Only goes up. One thread at a time adds, any thread reads: so adding needs no locked
/// instruction.
class Counter {
 public:
  void add(std::uint64_t more = 1) {
    value_.store(value_.load(std::memory_order_relaxed) + more, std::memory_order_relaxed);
  }
  [[nodiscard]] std::uint64_t value() const { return value_.load(std::memory_order_relaxed); }

 private:
  std::atomic<std::uint64_t> value_ = 0;
};

/// What a histogram had counted at some time, or several of them together.
template <std::size_t bounds_count>
struct HistogramCounts {
  /// Of values up to each bound and above the one before; the last of those above all bounds.
  std::array<std::uint64_t, bounds_count + 1> counts{};
  std::uint64_t sum = 0;
};

/// Sorts values by `bounds`, which ascend. One thread at a time adds, any thread reads.
template <const auto& bounds>
class Histogram {
 public:
  static constexpr std::size_t bounds_count = bounds.size();
  using Counts = HistogramCounts<bounds_count>;

  void add(std::uint64_t value, std::uint64_t times = 1) {
    std::size_t at = 0;  // from the front: nearly all are small
    while (at < bounds_count && value > bounds[at]) ++at;
    counts_[at].add(times);
    sum_.add(value * times);
  }
  void add_to(Counts& total) const {
    for (std::size_t at = 0; at <= bounds_count; ++at) total.counts[at] += counts_[at].value();
    total.sum += sum_.value();
  }

 private:
  std::array<Counter, bounds_count + 1> counts_;
  Counter sum_;
};

/// Of how long something took, in nanoseconds: 50 us to 30 s.
inline constexpr std::array<std::uint64_t, 17> duration_bounds{
    50'000,      100'000,      250'000,       500'000,        1'000'000,     2'500'000,
    5'000'000,   10'000'000,   25'000'000,    50'000'000,     100'000'000,   250'000'000,
    500'000'000, 1000'000'000, 2'500'000'000, 10'000'000'000, 30'000'000'000};
using DurationHistogram = Histogram<duration_bounds>;

/// Of how many there were at once.
inline constexpr std::array<std::uint64_t, 12> size_bounds{1,  2,   4,   8,    16,   32,
                                                           64, 128, 256, 1024, 4096, 16384};
using SizeHistogram = Histogram<size_bounds>;

}  // namespace locker::server
