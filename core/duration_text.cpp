#include "core/duration_text.hpp"

#include <algorithm>
#include <charconv>
#include <cmath>

namespace locker::core {

std::optional<std::chrono::microseconds> parse_duration(std::string_view text) {
  double number = 0;
  const char* const end = text.data() + text.size();
  const auto read = std::from_chars(text.data(), end, number, std::chars_format::fixed);
  if (read.ec != std::errc{}) return std::nullopt;
  const std::string_view unit{read.ptr, static_cast<std::size_t>(end - read.ptr)};
  double seconds = 0;
  if (unit.empty() || unit == "s") {
    seconds = 1;
  } else if (unit == "ms") {
    seconds = 0.001;
  } else if (unit == "m") {
    seconds = 60;
  } else if (unit == "h") {
    seconds = 3'600;
  } else if (unit == "d") {
    seconds = 86'400;
  } else {
    return std::nullopt;
  }
  constexpr double most = 86'400'000;
  const double total = number * seconds;
  if (!(total >= 0 && total <= most)) return std::nullopt;
  const std::chrono::microseconds least{number > 0 ? 1 : 0};  // 0 may mean for ever
  return std::max(least, std::chrono::microseconds{std::llround(total * 1e6)});
}

}  // namespace locker::core
