#pragma once

#include <chrono>
#include <optional>
#include <string_view>

namespace locker::core {

/// Parses "500ms", "30s", "5m", "1h", "2d" or a bare number of seconds, each optionally with a
/// fraction ("0.5"). A positive duration yields at least a microsecond. Null for anything else, for
/// negative durations and for more than 1,000 days.
[[nodiscard]] std::optional<std::chrono::microseconds> parse_duration(std::string_view text);

}  // namespace locker::core
