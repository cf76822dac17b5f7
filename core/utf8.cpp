#include "core/utf8.hpp"

#include <cstddef>
#include <cstdint>
#include <cstring>

namespace locker::core {
namespace {

/// Returns the length of the sequence that starts with this byte, or 0 if none does. The caller
/// checks for overlong forms.
std::size_t sequence_length(std::uint8_t first) {
  if (first < 0x80) return 1;
  if (first >= 0xC2 && first <= 0xDF) return 2;
  if (first >= 0xE0 && first <= 0xEF) return 3;
  if (first >= 0xF0 && first <= 0xF4) return 4;
  return 0;
}

bool is_legal_scalar(std::uint32_t scalar, std::size_t length) {
  if (length == 3) return scalar >= 0x800 && (scalar < 0xD800 || scalar > 0xDFFF);
  if (length == 4) return scalar >= 0x10000 && scalar <= 0x10FFFF;
  return true;
}

}  // namespace

bool is_printable_ascii(std::string_view bytes) {
  constexpr std::uint64_t ones = 0x0101010101010101;
  constexpr std::uint64_t high_bits = 0x80 * ones;
  std::uint64_t refused = 0;
  // Eight bytes at a time. A byte's high bit ends up set if it was set, by a borrow if the byte is
  // below a space, or by a carry if it is DEL. Borrows and carries reach other bytes only from a
  // byte that is refused anyway.
  std::size_t at = 0;
  for (; bytes.size() - at >= sizeof refused; at += sizeof refused) {
    std::uint64_t word = 0;
    std::memcpy(&word, bytes.data() + at, sizeof word);
    refused |= word | (word - 0x20 * ones) | (word + ones);
  }
  for (; at < bytes.size(); ++at) {
    if (bytes[at] < ' ' || bytes[at] > '~') return false;
  }
  return (refused & high_bits) == 0;
}

TextFault check_text(std::string_view bytes) {
  for (std::size_t at = 0; at < bytes.size();) {
    const auto first = static_cast<std::uint8_t>(bytes[at]);
    const std::size_t length = sequence_length(first);
    if (length == 0 || length > bytes.size() - at) return TextFault::not_utf8;
    std::uint32_t scalar = length == 1 ? first : first & (0x7FU >> length);
    for (std::size_t i = 1; i < length; ++i) {
      const auto next = static_cast<std::uint8_t>(bytes[at + i]);
      if ((next & 0xC0U) != 0x80U) return TextFault::not_utf8;
      scalar = (scalar << 6U) | (next & 0x3FU);
    }
    if (!is_legal_scalar(scalar, length)) return TextFault::not_utf8;
    if (scalar < 0x20 || (scalar >= 0x7F && scalar <= 0x9F)) return TextFault::control_character;
    at += length;
  }
  return TextFault::none;
}

}  // namespace locker::core
