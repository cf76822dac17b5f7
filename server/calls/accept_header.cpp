#include "server/calls/accept_header.hpp"

#include <boost/beast/core/string.hpp>

namespace locker::server {
namespace {

constexpr int most = 1000;

/// Returns a quality value in thousandths: "0.25" is 250. Text that is not a quality value counts
/// as 1000.
int read_quality(std::string_view text) {
  if (text.empty() || (text[0] != '0' && text[0] != '1')) return most;
  int quality = (text[0] - '0') * most;
  int digit = most / 10;
  for (std::size_t i = 2; i < text.size() && digit > 0; ++i, digit /= 10) {
    if (text[i] < '0' || text[i] > '9') break;
    quality += (text[i] - '0') * digit;
  }
  return quality < most ? quality : most;
}

/// How specifically a media range matches: 3 the type itself, 2 "type/*", 1 "*/*", 0 no match.
int exactness_of(std::string_view range, std::string_view media_type) {
  const auto equal = [](std::string_view a, std::string_view b) {
    return boost::beast::iequals({a.data(), a.size()}, {b.data(), b.size()});
  };
  if (equal(range, media_type)) return 3;
  if (range == "*/*") return 1;
  const std::size_t kind = media_type.find('/') + 1;
  const bool is_kind = range.ends_with("/*") && range.size() == kind + 1 &&
                       equal(range.substr(0, kind), media_type.substr(0, kind));
  return is_kind ? 2 : 0;
}

std::string_view trimmed(std::string_view text) {
  const std::size_t begin = text.find_first_not_of(" \t");
  if (begin == std::string_view::npos) return {};
  return text.substr(begin, text.find_last_not_of(" \t") + 1 - begin);
}

/// Removes the text up to the separator from the front of `text` and returns it, trimmed.
std::string_view take(std::string_view& text, char separator) {
  const std::size_t end = text.find(separator);
  const std::string_view taken = text.substr(0, end);
  text.remove_prefix(end == std::string_view::npos ? text.size() : end + 1);
  return trimmed(taken);
}

}  // namespace

int quality_of(std::string_view media_type, std::string_view accept) {
  if (trimmed(accept).empty()) return most;
  int exactness = 0;
  int quality = 0;
  while (!accept.empty()) {
    std::string_view range = take(accept, ',');
    const int fits = exactness_of(take(range, ';'), media_type);
    if (fits <= exactness) continue;
    exactness = fits;
    quality = most;
    while (!range.empty()) {
      const std::string_view parameter = take(range, ';');
      if (parameter.starts_with("q=") || parameter.starts_with("Q=")) {
        quality = read_quality(parameter.substr(2));
      }
    }
  }
  return quality;
}

}  // namespace locker::server
