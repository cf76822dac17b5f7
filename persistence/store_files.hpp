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

/// The names in a store's directory; FORMAT.md specifies the contents of the files.
inline constexpr std::string_view identity_name = "STORE";
inline constexpr std::string_view lock_name = "LOCK";
/// The next segment, zeros only.
inline constexpr std::string_view prepared_name = "prepared.tmp";
/// A larger one that is to replace it, while it is being made.
inline constexpr std::string_view larger_name = "larger.tmp";

[[nodiscard]] std::string segment_name(Index first_index);
[[nodiscard]] std::string snapshot_name(Index index);
/// The name while the snapshot is being written.
[[nodiscard]] std::string unfinished_snapshot_name(Index index);
[[nodiscard]] std::string in_directory(std::string_view directory, std::string_view name);

/// The directory's listing, sorted by kind, each in ascending order.
struct StoreFiles {
  bool has_identity = false;
  std::vector<Index> segments;         ///< By first index.
  std::vector<Index> snapshots;        ///< By index.
  std::vector<std::string> temporary;  ///< Names that end in .tmp: begun, never published.
  std::vector<std::string> foreign;    ///< Names that are not the store's.
};
[[nodiscard]] StoreFiles sort_files(const std::vector<std::string>& names);

/// Distinguishes the files of one store from those of another.
using StoreId = std::array<std::uint8_t, 16>;

/// The format that this version writes, and the newest that it reads. FORMAT.md says what changed.
inline constexpr std::uint32_t format_version = 2;
[[nodiscard]] constexpr bool reads_format(std::uint32_t version) {
  return version >= 1 && version <= format_version;
}

/// Returns the text of STORE, three lines that people can read too.
[[nodiscard]] std::string identity_text(const StoreId& id);
[[nodiscard]] OpenResult<StoreId> parse_identity(std::string_view text, const std::string& path);

}  // namespace locker::persistence
