#pragma once

#include <algorithm>
#include <array>
#include <bit>
#include <chrono>
#include <cstdint>

namespace locker::bench {

/// A histogram of times that gives any percentile to one part in 64, however many times it counts.
class LatencyHistogram {
 public:
  using Duration = std::chrono::steady_clock::duration;

  void add(Duration time) {
    const auto nanoseconds = static_cast<std::uint64_t>(std::max<Duration::rep>(
        std::chrono::duration_cast<std::chrono::nanoseconds>(time).count(), 0));
    ++counts_[slot_of(nanoseconds)];
    ++count_;
    max_ = std::max(max_, nanoseconds);
  }
  [[nodiscard]] std::uint64_t count() const { return count_; }
  [[nodiscard]] double max_milliseconds() const { return static_cast<double>(max_) / 1e6; }

  /// Returns the time of a percentile (0.99: p99).
  [[nodiscard]] double milliseconds(double part) const {
    auto left = static_cast<std::uint64_t>(static_cast<double>(count_) * part);
    for (std::size_t slot = 0; slot < counts_.size(); ++slot) {
      if (counts_[slot] > left) return static_cast<double>(std::min(middle_of(slot), max_)) / 1e6;
      left -= counts_[slot];
    }
    return max_milliseconds();
  }

 private:
  static constexpr unsigned bits = 6;  // 64 slots for each power of two
  static std::size_t slot_of(std::uint64_t value) {
    const auto width = static_cast<unsigned>(std::bit_width(value));
    if (width <= bits + 1) return value;
    const unsigned shift = width - bits - 1;
    return (std::size_t{shift} << bits) + (value >> shift);
  }
  static std::uint64_t middle_of(std::size_t slot) {
    if (slot < std::size_t{2} << bits) return slot;
    const auto shift = static_cast<unsigned>((slot >> bits) - 1);
    const std::uint64_t low = (slot - (std::size_t{shift} << bits)) << shift;
    return low + (std::uint64_t{1} << shift) / 2;
  }

  std::array<std::uint64_t, std::size_t{64 - bits} << bits> counts_{};
  std::uint64_t count_ = 0;
  std::uint64_t max_ = 0;
};

}  // namespace locker::bench
