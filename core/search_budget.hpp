#pragma once

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdint>

#include "core/deadline_queue.hpp"

namespace locker::core {

/// Limits the steps of deadlock searches. Nobody else is served during a search, so clients with
/// very many requests must not be able to keep others waiting for long, or all the time.
///
/// One search may take steps_of_one_max. All searches draw on one stock that refills over time, so
/// searches in close succession may take fewer; but each may take steps_of_one_min, however many
/// there are.
class SearchBudget {
 public:
  static constexpr std::size_t steps_of_one_max = 100'000;
  static constexpr std::size_t steps_of_one_min = 2'000;

  /// The limit of a search that begins now. `now` must not go back from call to call.
  [[nodiscard]] std::size_t for_one(Instant now) {
    const auto passed = std::chrono::duration_cast<std::chrono::milliseconds>(now - filled_at_);
    if (passed.count() > 0) {
      const auto earned = std::min<std::uint64_t>(static_cast<std::uint64_t>(passed.count()),
                                                  stock_max / steps_a_millisecond) *
                          steps_a_millisecond;
      stock_ = std::min<std::size_t>(stock_ + earned, stock_max);
      filled_at_ = now;
    }
    return std::clamp(stock_, steps_of_one_min, steps_of_one_max);
  }
  /// Deducts the steps that a search has taken.
  void spend(std::size_t steps) { stock_ -= std::min(stock_, steps); }

 private:
  static constexpr std::size_t stock_max = 200'000;
  static constexpr std::size_t steps_a_millisecond = 200;

  std::size_t stock_ = stock_max;
  Instant filled_at_{};
};

}  // namespace locker::core
