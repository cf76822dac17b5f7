#pragma once

#include <chrono>
#include <cstdint>
#include <random>
#include <string>
#include <vector>

#include "tests/histories/history.hpp"

namespace locker::histories {

/// What a client does next, at random but the same for the same seed.
class Choices {
 public:
  explicit Choices(std::uint64_t seed) : random_(seed) {}

  [[nodiscard]] bool chance(double probability) { return fraction() < probability; }
  /// From 0 to 1.
  [[nodiscard]] double fraction();
  /// From zero to count - 1.
  [[nodiscard]] std::size_t below(std::size_t count);
  template <typename Value>
  [[nodiscard]] Value one_of(const std::vector<Value>& values) {
    return values[below(values.size())];
  }
  /// Mostly short, at most ten times the mean.
  [[nodiscard]] std::chrono::milliseconds about(double mean_ms);

  /// Of depth 0 to 6 in a small tree: the first names are chosen most, so that requests meet.
  [[nodiscard]] std::string path();
  [[nodiscard]] Shape shape();
  [[nodiscard]] Wanted wanted() { return {path(), shape()}; }
  /// No path twice.
  [[nodiscard]] std::vector<Wanted> several_wanted();
  /// A version 4 UUID.
  [[nodiscard]] std::string token();

 private:
  std::mt19937_64 random_;
};

}  // namespace locker::histories
