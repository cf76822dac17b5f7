#pragma once

#include <string>
#include <string_view>

namespace locker::server {

/// Sets up spdlog's default logger: to stderr, at the named level, as text or as one JSON object
/// per line. Callers never wait for a reader: lines that are not taken are lost and counted.
void start_logging(const std::string& level, bool as_json);

/// Writes one line in the format of the log, for the end of the process, when there may be no
/// memory to log with. Usable before start_logging(). Does not wait for a reader either. `text`
/// must not contain quotes.
void say_last_words(std::string_view text);

}  // namespace locker::server
