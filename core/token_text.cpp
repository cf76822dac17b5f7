#include "core/token_text.hpp"

#include "core/hex_digit.hpp"

namespace locker::core {
namespace {

constexpr std::size_t text_size = 36;

bool is_dash(std::size_t at) { return at == 8 || at == 13 || at == 18 || at == 23; }

}  // namespace

void append_token(const Token& token, std::string& out) {
  static constexpr char digits[] = "0123456789abcdef";
  char text[text_size];
  std::size_t at = 0;
  for (const std::uint8_t byte : token.bytes) {
    if (is_dash(at)) text[at++] = '-';
    text[at++] = digits[byte >> 4U];
    text[at++] = digits[byte & 15U];
  }
  out.append(text, text_size);
}

std::optional<Token> parse_token(std::string_view text) {
  if (text.size() != text_size) return std::nullopt;
  Token token;
  std::size_t at = 0;
  for (std::uint8_t& byte : token.bytes) {
    if (is_dash(at) && text[at++] != '-') return std::nullopt;
    const int high = hex_digit(text[at++]);
    const int low = hex_digit(text[at++]);
    if (high < 0 || low < 0) return std::nullopt;
    byte = static_cast<std::uint8_t>(high * 16 + low);
  }
  return token;
}

}  // namespace locker::core
