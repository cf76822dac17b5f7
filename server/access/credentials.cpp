#include "server/access/credentials.hpp"

#include <algorithm>
#include <cstdint>

namespace locker::server {
namespace {

/// If the text begins with the scheme (in any case) and a space, removes them and returns true.
bool take_scheme(std::string_view scheme, std::string_view& text) {
  if (text.size() <= scheme.size() || text[scheme.size()] != ' ') return false;
  for (std::size_t i = 0; i < scheme.size(); ++i) {
    const char c = text[i];
    if ((c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c) != scheme[i]) return false;
  }
  text.remove_prefix(scheme.size() + 1);
  text.remove_prefix(std::min(text.find_first_not_of(' '), text.size()));
  return true;
}

int base64_value(char c) {
  if (c >= 'A' && c <= 'Z') return c - 'A';
  if (c >= 'a' && c <= 'z') return c - 'a' + 26;
  if (c >= '0' && c <= '9') return c - '0' + 52;
  return c == '+' ? 62 : c == '/' ? 63 : -1;
}

std::optional<std::string> decode_base64(std::string_view text) {
  while (text.ends_with('=')) text.remove_suffix(1);
  std::string out;
  std::uint32_t bits = 0;
  unsigned count = 0;
  for (const char c : text) {
    const int value = base64_value(c);
    if (value < 0) return std::nullopt;
    bits = bits << 6U | static_cast<std::uint32_t>(value);
    count += 6;
    if (count < 8) continue;
    count -= 8;
    out += static_cast<char>(bits >> count & 0xFFU);
  }
  return out;
}

}  // namespace

std::optional<std::string> read_credentials(std::string_view authorization) {
  std::string_view text = authorization;
  if (take_scheme("bearer", text)) return std::string{text};
  if (!take_scheme("basic", text)) return std::nullopt;
  const auto decoded = decode_base64(text);
  const std::size_t colon = decoded ? decoded->find(':') : std::string::npos;
  if (colon == std::string::npos) return std::nullopt;
  return decoded->substr(colon + 1);
}

}  // namespace locker::server
