#pragma once

#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "core/error.hpp"
#include "core/path.hpp"

namespace locker::core {

/// Decodes `%XX` once, in place; nothing else is special. Returns null on success; `text` then
/// spans the result.
[[nodiscard]] std::optional<Fault> percent_decode(std::span<char>& text);

/// Parses a path as it is spelled in a URL: split on `/`, empty segments dropped, each segment
/// percent-decoded once; so `%2F` is a slash inside a segment and `+` is a plus. Returns a fault
/// for `.` and `..`, control characters, invalid UTF-8, a broken `%`, and anything over a limit.
[[nodiscard]] std::optional<Fault> parse_url_path(std::string_view text, Path& out);

/// Appends "%" and two upper-case hexadecimal digits, as in RFC 3986.
void append_percent_encoded(char c, std::string& out);

/// Appends the path's one canonical spelling, which parses to the same path: every character
/// outside RFC 3986's `pchar` is percent-encoded.
void append_url_path(PathView path, std::string& out);

}  // namespace locker::core
