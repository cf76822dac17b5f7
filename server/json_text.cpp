#include "server/json_text.hpp"

#include <array>
#include <charconv>
#include <cstdio>

#include "core/utf8.hpp"

namespace locker::server {

void append_json_string(std::string_view text, std::string& out) {
  out += '"';
  for (const char c : text) {
    if (c == '"' || c == '\\') {
      out += '\\';
      out += c;
    } else if (static_cast<unsigned char>(c) < 0x20) {
      char escaped[8];
      std::snprintf(escaped, sizeof escaped, "\\u%04x", static_cast<unsigned>(c));
      out += escaped;
    } else {
      out += c;
    }
  }
  out += '"';
}

void append_json_text(std::string_view text, std::string& out) {
  const bool is_utf8 = core::check_text(text) != core::TextFault::not_utf8;
  append_json_string(is_utf8 ? text : "(not UTF-8)", out);
}

void append_number(std::uint64_t number, std::string& out) {
  std::array<char, 20> digits;
  const auto [end, fault] = std::to_chars(digits.data(), digits.data() + digits.size(), number);
  static_cast<void>(fault);  // twenty digits hold any number
  out.append(digits.data(), end);
}

}  // namespace locker::server
