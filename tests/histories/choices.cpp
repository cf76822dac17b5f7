#include "tests/histories/choices.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdio>

namespace locker::histories {
namespace {

/// As replies spell them. The percent signs prove that paths are decoded once.
constexpr std::array<const char*, 6> names{"a", "b", "c", "d%20e", "%C3%A4", "f%2Fg"};
/// At the top, so that not everything is in everything's way.
constexpr std::size_t folders = 12;

/// The n-th is chosen with a weight of 1/n; these are the sums.
constexpr double names_weight = 2.45;
constexpr double folders_weight = 3.1;

}  // namespace

// Not the distributions of the standard library, whose numbers differ from one library to another.
double Choices::fraction() { return static_cast<double>(random_() >> 11U) * 0x1p-53; }

std::size_t Choices::below(std::size_t count) {
  return static_cast<std::size_t>(fraction() * static_cast<double>(count));
}

std::chrono::milliseconds Choices::about(double mean_ms) {
  const double drawn = -std::log(1 - fraction()) * mean_ms;
  return std::chrono::milliseconds{static_cast<std::int64_t>(std::min(drawn, 10 * mean_ms))};
}

std::string Choices::path() {
  constexpr std::array<double, 7> depth_up_to{0.001, 0.01, 0.06, 0.23, 0.53, 0.80, 1.0};
  const double drawn = fraction();
  std::size_t depth = 0;
  while (depth + 1 < depth_up_to.size() && drawn >= depth_up_to.at(depth)) ++depth;
  std::string path;
  for (std::size_t level = 0; level < depth; ++level) {
    double weight = fraction() * (level == 0 ? folders_weight : names_weight);
    std::size_t name = 0;
    const std::size_t count = level == 0 ? folders : names.size();
    while (name + 1 < count && (weight -= 1.0 / static_cast<double>(name + 1)) > 0) ++name;
    path += '/';
    path += level == 0 ? std::to_string(name) : names.at(name);
  }
  return path.empty() ? "/" : path;
}

Shape Choices::shape() {
  Shape shape;
  shape.is_shared = chance(0.4);
  shape.lock_parents = chance(0.6);
  shape.lock_children = chance(0.6);
  return shape;
}

std::vector<Wanted> Choices::several_wanted() {
  std::vector<Wanted> all;
  const std::size_t count = 2 + below(3);
  while (all.size() < count) {
    Wanted wanted = this->wanted();
    const bool is_there = std::any_of(all.begin(), all.end(), [&wanted](const Wanted& other) {
      return other.path == wanted.path;
    });
    if (!is_there) all.push_back(std::move(wanted));
  }
  return all;
}

std::string Choices::token() {
  const std::uint64_t high = (random_() & ~0xf000ULL) | 0x4000ULL;
  const std::uint64_t low = (random_() & ~(3ULL << 62U)) | (2ULL << 62U);
  std::array<char, 37> text{};
  std::snprintf(text.data(), text.size(), "%08llx-%04llx-%04llx-%04llx-%012llx",
                static_cast<unsigned long long>(high >> 32U),
                static_cast<unsigned long long>(high >> 16U & 0xffffU),
                static_cast<unsigned long long>(high & 0xffffU),
                static_cast<unsigned long long>(low >> 48U),
                static_cast<unsigned long long>(low & 0xffffffffffffULL));
  return text.data();
}

}  // namespace locker::histories
