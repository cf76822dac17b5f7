#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace locker::server {

/// Appends a JSON string with its quotes. REQUIRES: `text` is valid UTF-8.
void append_json_string(std::string_view text, std::string& out);
/// The same of any text, such as a file's name: "(not UTF-8)" in place of one that is none.
void append_json_text(std::string_view text, std::string& out);

void append_number(std::uint64_t number, std::string& out);

/// As in a URL.
void append_path(std::string_view packed, std::string& out);
/// "?" in place of none.
void append_owner(std::string_view owner, std::string& out);

}  // namespace locker::server
