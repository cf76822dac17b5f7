#include "server/json_text.hpp"

#include <array>
#include <charconv>
#include <cstdio>

#include "core/url_path.hpp"
#include "core/utf8.hpp"

namespace locker::server {

void append_json_string(std::string_view text, std::string& out) {
  out += '"';
  std::size_t begin = 0;  // start of the text not yet appended
  for (std::size_t at = 0; at < text.size(); ++at) {
    const auto c = static_cast<unsigned char>(text[at]);
    if (c >= 0x20 && c != '"' && c != '\\') continue;
    out += text.substr(begin, at - begin);
    begin = at + 1;
    if (c < 0x20) {
      char escaped[8];
      std::snprintf(escaped, sizeof escaped, "\\u%04x", unsigned{c});
      out += escaped;
    } else {
      out += '\\';
      out += text[at];
    }
  }
  out += text.substr(begin);
  out += '"';
}

void append_json_text(std::string_view text, std::string& out) {
  const bool is_utf8 = core::check_text(text) != core::TextFault::not_utf8;
  append_json_string(is_utf8 ? text : "(not UTF-8)", out);
}

void append_number(std::uint64_t number, std::string& out) {
  std::array<char, 20> digits;
  const auto [end, fault] = std::to_chars(digits.data(), digits.data() + digits.size(), number);
  static_cast<void>(fault);  // twenty digits hold any 64-bit number
  out.append(digits.data(), end);
}

void append_path(std::string_view packed, std::string& out) {
  out += '"';
  core::append_url_path(core::PathView{packed}, out);
  out += '"';
}

void append_owner(std::string_view owner, std::string& out) {
  append_json_string(owner.empty() ? "?" : owner, out);
}

}  // namespace locker::server
