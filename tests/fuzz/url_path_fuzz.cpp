// Paths in URLs: one canonical spelling each, and nothing that a lock server should not take.

#include "core/url_path.hpp"
#include "tests/fuzz/fuzz_input.hpp"

namespace {

using locker::fuzz::require;

int hex(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

/// The segments by the plainest reading of the rules; false: a `%` is broken.
bool split(std::string_view text, std::string& packed) {
  while (!text.empty()) {
    const std::size_t slash = text.find('/');
    const std::string_view part = text.substr(0, slash);
    text.remove_prefix(slash == std::string_view::npos ? text.size() : slash + 1);
    if (part.empty()) continue;
    std::string segment;
    for (std::size_t i = 0; i < part.size(); ++i) {
      if (part[i] != '%') {
        segment += part[i];
        continue;
      }
      if (i + 2 >= part.size() || hex(part[i + 1]) < 0 || hex(part[i + 2]) < 0) return false;
      segment += static_cast<char>(hex(part[i + 1]) * 16 + hex(part[i + 2]));
      i += 2;
    }
    packed += static_cast<char>(segment.size());
    packed += segment;
  }
  return true;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view text{reinterpret_cast<const char*>(data), size};
  locker::core::Path path;
  if (const auto fault = locker::core::parse_url_path(text, path)) {
    require(!fault->message.empty(), "a refusal says why");
    return 0;
  }
  std::string expected;
  require(split(text, expected), "a broken percent sign is refused");
  require(expected == path.view().packed(), "the segments are those of the plain reading");
  for (const std::string_view segment : path.view()) {
    require(!segment.empty() && segment != "." && segment != "..", "no empty or dot segment");
    for (const char c : segment) {
      require(static_cast<unsigned char>(c) >= 0x20 && c != 0x7f, "no control characters");
    }
  }
  std::string canonical;
  locker::core::append_url_path(path.view(), canonical);
  locker::core::Path again;
  require(!locker::core::parse_url_path(canonical, again), "the canonical form parses", canonical);
  require(again.view().packed() == path.view().packed(), "to the same path", canonical);
  std::string twice;
  locker::core::append_url_path(again.view(), twice);
  require(twice == canonical, "the canonical form is one", canonical);
  return 0;
}
