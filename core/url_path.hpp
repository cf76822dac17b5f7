#pragma once

#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "core/error.hpp"
#include "core/path.hpp"

namespace locker::core {

/// Decodes `%XX` once, in place; nothing else is special. Null when it worked: `text` then spans
/// what is left.
[[nodiscard]] std::optional<Fault> percent_decode(std::span<char>& text);

/// Reads a path as it stands in a URL: split on `/`, empty segments dropped, each segment
/// percent-decoded once; so `%2F` is a slash inside a segment and `+` is a plus. Refuses (and says
/// why) `.` and `..`, control characters, invalid UTF-8, a broken `%`, and what is over a limit.
[[nodiscard]] std::optional<Fault> parse_url_path(std::string_view text, Path& out);

/// Appends "%" and the two upper-case digits of RFC 3986.
void append_percent_encoded(char c, std::string& out);

/// Appends the path's one canonical spelling, which parses to the same path: what the characters
/// of RFC 3986's `pchar` do not cover is percent-encoded.
void append_url_path(PathView path, std::string& out);

}  // namespace locker::core
