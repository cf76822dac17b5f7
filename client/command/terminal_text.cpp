#include "client/command/terminal_text.hpp"

#include <algorithm>
#include <cstdio>

#include <boost/json/serialize.hpp>

namespace locker::client {
namespace {

std::string format(const char* pattern, long long first, long long second) {
  char text[64];
  std::snprintf(text, sizeof text, pattern, first, second);
  return text;
}

/// The number of code points, which is close enough to columns for alignment.
std::size_t width_of(std::string_view text) {
  return static_cast<std::size_t>(std::count_if(text.begin(), text.end(), [](char c) {
    return (static_cast<unsigned char>(c) & 0xC0U) != 0x80U;
  }));
}

}  // namespace

std::string printable(std::string_view text) {
  std::string out;
  for (std::size_t at = 0; at < text.size(); ++at) {
    const auto byte = static_cast<unsigned char>(text[at]);
    // U+0080 to U+009F are control characters too: C2 80 to C2 9F.
    const bool is_second_set =
        byte == 0xC2U && at + 1 < text.size() && static_cast<unsigned char>(text[at + 1]) < 0xA0U;
    if (byte < 0x20U || byte == 0x7FU || is_second_set) {
      char escaped[8];
      std::snprintf(escaped, sizeof escaped, "\\x%02X",
                    is_second_set ? static_cast<unsigned char>(text[++at]) : byte);
      out += escaped;
    } else {
      out += text[at];
    }
  }
  return out;
}

std::string shortened(std::string_view text, std::size_t most) {
  if (width_of(text) <= most) return std::string{text};
  if (most == 0) return "";
  std::size_t end = 0;
  for (std::size_t characters = 0; end < text.size(); ++end) {
    const bool begins = (static_cast<unsigned char>(text[end]) & 0xC0U) != 0x80U;
    if (begins && characters++ == most - 1) break;
  }
  return std::string{text.substr(0, end)} + "…";
}

std::string short_duration(std::chrono::milliseconds time) {
  const long long milliseconds = std::max<long long>(time.count(), 0);
  const long long seconds = milliseconds / 1'000;
  if (seconds < 10) return format("%lld.%llds", seconds, milliseconds % 1'000 / 100);
  if (seconds < 60) return format("%llds", seconds, 0);
  if (seconds < 3'600) return format("%lldm%02llds", seconds / 60, seconds % 60);
  if (seconds < 86'400) return format("%lldh%02lldm", seconds / 3'600, seconds % 3'600 / 60);
  return format("%lldd%lldh", seconds / 86'400, seconds % 86'400 / 3'600);
}

std::string duration_field(const boost::json::object& object, std::string_view name) {
  const boost::json::value* const value = object.if_contains(name);
  if (value == nullptr || !value->is_number()) return "-";
  return short_duration(std::chrono::milliseconds{value->to_number<std::int64_t>()});
}

std::string text_field(const boost::json::object& object, std::string_view name) {
  const boost::json::value* const value = object.if_contains(name);
  if (value == nullptr || value->is_null()) return "";
  return printable(value->is_string() ? std::string{value->get_string()}
                                      : boost::json::serialize(*value));
}

boost::json::array list_field(const boost::json::object& object, std::string_view name) {
  const boost::json::value* const value = object.if_contains(name);
  return value != nullptr && value->is_array() ? value->get_array() : boost::json::array{};
}

std::string table(const std::vector<Row>& rows) {
  std::vector<std::size_t> widths;
  for (const Row& row : rows) {
    widths.resize(std::max(widths.size(), row.size()));
    for (std::size_t i = 0; i < row.size(); ++i) widths[i] = std::max(widths[i], width_of(row[i]));
  }
  std::string out;
  for (const Row& row : rows) {
    std::string line;
    for (std::size_t i = 0; i < row.size(); ++i) {
      line += row[i];
      if (i + 1 < row.size()) line.append(widths[i] - width_of(row[i]) + 2, ' ');
    }
    line.erase(line.find_last_not_of(' ') + 1);
    out += line + "\n";
  }
  return out;
}

}  // namespace locker::client
