#include "core/url_path.hpp"

#include <algorithm>

#include "core/hex_digit.hpp"
#include "core/utf8.hpp"

namespace locker::core {
namespace {

/// Returns the decoded length, or -1 for a broken `%`.
/// REQUIRES: room for text.size() bytes at `out`.
std::ptrdiff_t decode_into(std::string_view text, char* out) {
  char* const begin = out;
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] != '%') {
      *out++ = text[i];
      continue;
    }
    if (text.size() - i < 3) return -1;
    const int high = hex_digit(text[i + 1]);
    const int low = hex_digit(text[i + 2]);
    if (high < 0 || low < 0) return -1;
    *out++ = static_cast<char>(high * 16 + low);
    i += 2;
  }
  return out - begin;
}

const char* const broken_percent =
    "A '%' must be followed by two hexadecimal digits; write a literal percent sign as %25.";

/// RFC 3986: pchar without the percent sign.
bool is_plain(char c) {
  if ((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9')) return true;
  return c != '\0' && std::string_view{"-._~!$&'()*+,;=:@"}.find(c) != std::string_view::npos;
}

std::optional<Fault> push_segment(std::string_view segment, TextFault text_fault, Path& out) {
  if (segment == "." || segment == "..") {
    return Fault{"The path has a '" + std::string{segment} +
                 "' segment; write out the resource's full path."};
  }
  switch (text_fault) {
    case TextFault::none:
      break;
    case TextFault::not_utf8:
      return Fault{"The path is not valid UTF-8; encode it as UTF-8 before percent-encoding it."};
    case TextFault::control_character:
      return Fault{"The path has a control character; use printable characters only."};
  }
  switch (out.push_back(segment)) {
    case Path::Push::ok:
      return std::nullopt;
    case Path::Push::segment_too_long:
      return Fault{"A path segment is longer than 255 bytes; use shorter names."};
    case Path::Push::too_many_segments:
      return Fault{"The path has more than 64 segments; use a flatter tree."};
    case Path::Push::path_too_long:
      return Fault{"The path is longer than 2,048 bytes; use shorter names."};
  }
  return std::nullopt;
}

}  // namespace

std::optional<Fault> percent_decode(std::span<char>& text) {
  // In place: writing never overtakes reading.
  const std::ptrdiff_t length = decode_into({text.data(), text.size()}, text.data());
  if (length < 0) return Fault{broken_percent};
  text = text.first(static_cast<std::size_t>(length));
  return std::nullopt;
}

std::optional<Fault> parse_url_path(std::string_view text, Path& out) {
  out.clear();
  // Most paths are plain, and need to be read only once.
  const bool is_plain = is_printable_ascii(text) && text.find('%') == std::string_view::npos;
  std::array<char, 3 * segment_bytes_max> decoded;
  while (!text.empty()) {
    const std::size_t end = std::min(text.find('/'), text.size());
    const std::string_view segment = text.substr(0, end);
    text.remove_prefix(std::min(end + 1, text.size()));
    if (segment.empty()) continue;
    if (segment.size() > decoded.size()) {
      return Fault{"A path segment is longer than 255 bytes; use shorter names."};
    }
    std::string_view resource = segment;
    if (!is_plain) {
      const std::ptrdiff_t length = decode_into(segment, decoded.data());
      if (length < 0) return Fault{broken_percent};
      resource = {decoded.data(), static_cast<std::size_t>(length)};
    }
    const TextFault text_fault = is_plain ? TextFault::none : check_text(resource);
    if (auto fault = push_segment(resource, text_fault, out)) return fault;
  }
  return std::nullopt;
}

void append_percent_encoded(char c, std::string& out) {
  static constexpr char digits[] = "0123456789ABCDEF";
  const auto byte = static_cast<unsigned char>(c);
  out += '%';
  out += digits[byte >> 4U];
  out += digits[byte & 15U];
}

void append_url_path(PathView path, std::string& out) {
  if (path.is_root()) out += '/';
  for (const std::string_view segment : path) {
    out += '/';
    for (const char c : segment) {
      if (is_plain(c)) {
        out += c;
      } else {
        append_percent_encoded(c, out);
      }
    }
  }
}

}  // namespace locker::core
