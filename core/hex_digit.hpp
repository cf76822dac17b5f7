#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace locker::core {

/// The value of a hexadecimal digit in either case; -1 for any other character.
[[nodiscard]] constexpr int hex_digit(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

/// Appends the byte as two lower-case digits.
inline void append_hex(std::uint8_t byte, std::string& out) {
  constexpr std::string_view digits = "0123456789abcdef";
  out += digits[byte >> 4U];
  out += digits[byte & 15U];
}

}  // namespace locker::core
