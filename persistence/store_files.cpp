#include "persistence/store_files.hpp"

#include <algorithm>
#include <charconv>
#include <cinttypes>
#include <cstdio>
#include <optional>

#include "core/hex_digit.hpp"

namespace locker::persistence {
namespace {

constexpr std::string_view segment_prefix = "journal-";
constexpr std::string_view segment_suffix = ".segment";
constexpr std::string_view snapshot_prefix = "snapshot-";
constexpr std::string_view snapshot_suffix = ".snapshot";
constexpr std::string_view identity_first_line = "This directory is a lock server's store.\n";

std::string number_name(std::string_view prefix, Index index, std::string_view suffix) {
  char digits[17];
  std::snprintf(digits, sizeof digits, "%016" PRIx64, index);
  return std::string(prefix) + digits + std::string(suffix);
}

std::optional<Index> number_in(std::string_view name, std::string_view prefix,
                               std::string_view suffix) {
  if (name.size() != prefix.size() + 16 + suffix.size() || !name.starts_with(prefix) ||
      !name.ends_with(suffix)) {
    return std::nullopt;
  }
  Index index = 0;
  for (const char digit : name.substr(prefix.size(), 16)) {
    const int value = core::hex_digit(digit);
    if (value < 0 || (digit >= 'A' && digit <= 'F')) return std::nullopt;
    index = index << 4U | static_cast<Index>(value);
  }
  return index;
}

/// Removes "<word> <rest of the line>\n" from the front and returns the rest of the line; null if
/// it is not there.
std::optional<std::string_view> take_line(std::string_view& text, std::string_view word) {
  const std::size_t end = text.find('\n');
  if (end == std::string_view::npos || !text.starts_with(word)) return std::nullopt;
  const std::string_view value = text.substr(word.size(), end - word.size());
  text.remove_prefix(end + 1);
  return value;
}

}  // namespace

std::string segment_name(Index first_index) {
  return number_name(segment_prefix, first_index, segment_suffix);
}

std::string snapshot_name(Index index) {
  return number_name(snapshot_prefix, index, snapshot_suffix);
}

std::string unfinished_snapshot_name(Index index) { return snapshot_name(index) + ".tmp"; }

std::string in_directory(std::string_view directory, std::string_view name) {
  std::string path{directory};
  path += '/';
  path += name;
  return path;
}

StoreFiles sort_files(const std::vector<std::string>& names) {
  StoreFiles files;
  for (const std::string& name : names) {
    if (name == identity_name) {
      files.has_identity = true;
    } else if (name == lock_name) {
      continue;
    } else if (const auto first = number_in(name, segment_prefix, segment_suffix)) {
      files.segments.push_back(*first);
    } else if (const auto index = number_in(name, snapshot_prefix, snapshot_suffix)) {
      files.snapshots.push_back(*index);
    } else if (name.ends_with(".tmp")) {
      files.temporary.push_back(name);
    } else {
      files.foreign.push_back(name);
    }
  }
  std::sort(files.segments.begin(), files.segments.end());
  std::sort(files.snapshots.begin(), files.snapshots.end());
  return files;
}

std::string identity_text(const StoreId& id) {
  std::string text{identity_first_line};
  text += "format " + std::to_string(format_version) + "\nid ";
  for (const std::uint8_t byte : id) core::append_hex(byte, text);
  return text + "\n";
}

OpenResult<StoreId> parse_identity(std::string_view text, const std::string& path) {
  const OpenFault damaged{
      OpenFault::Kind::damaged,
      path + " is not a valid store identity; restore it from a backup of this same store."};
  if (!text.starts_with(identity_first_line)) return damaged;
  text.remove_prefix(identity_first_line.size());
  const auto format = take_line(text, "format ");
  if (!format) return damaged;
  std::uint32_t version = 0;
  std::from_chars(format->data(), format->data() + format->size(), version);
  if (!reads_format(version)) {
    return OpenFault{OpenFault::Kind::newer_format, path + " has format " + std::string(*format) +
                                                        ", but this version reads 1 to " +
                                                        std::to_string(format_version) +
                                                        "; use the version that wrote it."};
  }
  const auto digits = take_line(text, "id ");
  if (!digits || digits->size() != 2 * sizeof(StoreId) || !text.empty()) return damaged;
  StoreId id{};
  for (std::size_t i = 0; i < id.size(); ++i) {
    const int high = core::hex_digit((*digits)[2 * i]);
    const int low = core::hex_digit((*digits)[2 * i + 1]);
    if (high < 0 || low < 0) return damaged;
    id[i] = static_cast<std::uint8_t>(high << 4 | low);
  }
  return id;
}

}  // namespace locker::persistence
