#pragma once

#include <string>
#include <string_view>

namespace locker::server {

/// Sets spdlog's default logger up: to stderr, at the level of this name, as text or as one JSON
/// object a line. Who logs waits for no reader: lines that nobody takes are lost, and counted.
void start_logging(const std::string& level, bool as_json);

/// One line of the log, or of a program that has none yet, for the end of the process, when there
/// may be no memory to log with. Waits for no reader either. `text` has no quotes.
void say_last_words(std::string_view text);

}  // namespace locker::server
