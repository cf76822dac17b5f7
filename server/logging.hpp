#pragma once

#include <string>

namespace locker::server {

/// Sets spdlog's default logger up: to stderr, at the level of this name, as text or as one JSON
/// object a line.
void start_logging(const std::string& level, bool as_json);

}  // namespace locker::server
