#pragma once

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>

namespace locker::server {

/// A monotonic counter. One thread at a time may add and any thread may read, so adding needs no
/// locked instruction.
class Counter {
 public:
  void add(std::uint64_t more = 1) {
    value_.store(value_.load(std::memory_order_relaxed) + more, std::memory_order_relaxed);
  }
  [[nodiscard]] std::uint64_t value() const { return value_.load(std::memory_order_relaxed); }

 private:
  std::atomic<std::uint64_t> value_ = 0;
};

/// The counts of a histogram at some time, or the sum of several.
template <std::size_t bounds_count>
struct HistogramCounts {
  /// Element i counts the values up to bound i and above the previous one; the last element counts
  /// those above all bounds.
  std::array<std::uint64_t, bounds_count + 1> counts{};
  std::uint64_t sum = 0;
};

/// Counts values by `bounds`, which ascend. One thread at a time may add, any thread may read.
template <const auto& bounds>
class Histogram {
 public:
  static constexpr std::size_t bounds_count = bounds.size();
  using Counts = HistogramCounts<bounds_count>;

  void add(std::uint64_t value, std::uint64_t times = 1) {
    std::size_t at = 0;  // linear: nearly all values are small
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

/// Bounds for durations in nanoseconds: 50 us to 30 s.
inline constexpr std::array<std::uint64_t, 17> duration_bounds{
    50'000,      100'000,      250'000,       500'000,        1'000'000,     2'500'000,
    5'000'000,   10'000'000,   25'000'000,    50'000'000,     100'000'000,   250'000'000,
    500'000'000, 1000'000'000, 2'500'000'000, 10'000'000'000, 30'000'000'000};
using DurationHistogram = Histogram<duration_bounds>;

/// Bounds for the number of items handled at a time.
inline constexpr std::array<std::uint64_t, 12> size_bounds{1,  2,   4,   8,    16,   32,
                                                           64, 128, 256, 1024, 4096, 16384};
using SizeHistogram = Histogram<size_bounds>;

}  // namespace locker::server
