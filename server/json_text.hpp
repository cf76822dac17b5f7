#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace locker::server {

/// Appends `text` as a quoted JSON string. REQUIRES: `text` is valid UTF-8.
void append_json_string(std::string_view text, std::string& out);
/// Like append_json_string(), for text from outside, such as a file name: appends "(not UTF-8)" if
/// it is not valid UTF-8.
void append_json_text(std::string_view text, std::string& out);

void append_number(std::uint64_t number, std::string& out);

/// Appends a packed path as a quoted JSON string, in its URL form.
void append_path(std::string_view packed, std::string& out);
/// Appends an owner as a quoted JSON string; "?" if it is empty.
void append_owner(std::string_view owner, std::string& out);

}  // namespace locker::server
