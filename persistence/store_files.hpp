#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "persistence/file_system.hpp"
#include "persistence/journal.hpp"
#include "persistence/open_fault.hpp"

namespace locker::persistence {

/// The names in a store's directory; FORMAT.md has what is in the files.
inline constexpr std::string_view identity_name = "STORE";
inline constexpr std::string_view lock_name = "LOCK";
/// The next segment, zeros only.
inline constexpr std::string_view prepared_name = "prepared.tmp";
/// While it is made, a larger one that takes the place of that.
inline constexpr std::string_view larger_name = "larger.tmp";

[[nodiscard]] std::string segment_name(Index first_index);
[[nodiscard]] std::string snapshot_name(Index index);
/// While it is written.
[[nodiscard]] std::string unfinished_snapshot_name(Index index);
[[nodiscard]] std::string in_directory(std::string_view directory, std::string_view name);

/// What a listing of the directory shows, each in ascending order.
struct StoreFiles {
  bool has_identity = false;
  std::vector<Index> segments;         ///< By first index.
  std::vector<Index> snapshots;        ///< By the index they stand at.
  std::vector<std::string> temporary;  ///< Names that end in .tmp: begun and never published.
  std::vector<std::string> foreign;    ///< What is none of ours.
};
[[nodiscard]] StoreFiles sort_files(const std::vector<std::string>& names);

/// Tells files of one store from those of another.
using StoreId = std::array<std::uint8_t, 16>;

/// The format that this version writes, and the newest that it reads. FORMAT.md says what changed.
inline constexpr std::uint32_t format_version = 2;
[[nodiscard]] constexpr bool reads_format(std::uint32_t version) {
  return version >= 1 && version <= format_version;
}

/// The text in STORE, for people too: three lines.
[[nodiscard]] std::string identity_text(const StoreId& id);
[[nodiscard]] OpenResult<StoreId> parse_identity(std::string_view text, const std::string& path);

}  // namespace locker::persistence
