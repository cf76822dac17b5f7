#pragma once

#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "persistence/segment_format.hpp"

namespace locker::persistence {

/// Returns the length of a store's first segment, if the disk has room. The first is 4 MiB and each
/// later one twice as long as the one before, up to `limit` rounded down to a power of two: a small
/// store stays small, and the first start is quick.
[[nodiscard]] std::uint64_t first_segment_bytes(std::uint64_t limit);
/// Returns the length of the segment after one of `bytes`. One that had to be smaller than the
/// first counts as if it were that long.
[[nodiscard]] std::uint64_t next_segment_bytes(std::uint64_t bytes, std::uint64_t limit);

/// Space that segments leave free, and snapshots once the files that they replace are removed. It
/// is for the small files, and for recovering from a full disk when little is held: it fits two of
/// the smallest segments and two of the smallest snapshots, the second of which frees what preceded
/// the first.
inline constexpr std::uint64_t spare_bytes_min = std::uint64_t{2} << 20U;

/// A segment's file of durable zeros; without a header, because its first index is not known yet.
struct PreparedSegment {
  std::unique_ptr<File> file;
  std::uint64_t bytes = 0;
};

struct SegmentWish {
  std::uint64_t bytes = 0;                        ///< A power of two.
  std::uint64_t spare_bytes = 0;                  ///< To be left free.
  std::uint64_t least_bytes = segment_bytes_min;  ///< A power of two.
};

/// Creates the file `name` of wish.bytes, halved repeatedly while the disk has no room for it.
/// Writes zeros rather than only allocating them: a sync then has no metadata to write (122 us
/// instead of 177, see FORMAT.md). The file and its name are durable on return. is_full_disk(error)
/// if not even wish.least_bytes fit; then nothing is left behind.
[[nodiscard]] IoResult<PreparedSegment> prepare_segment(FileSystem& files,
                                                        const std::string& directory,
                                                        const SegmentWish& wish,
                                                        std::string_view name = prepared_name);

/// Overwrites with zeros the segment that an earlier process prepared: in place, so that its room
/// is not given to anyone else. Null if there is none, or an incomplete one, or no room even so.
[[nodiscard]] IoResult<std::optional<PreparedSegment>> prepare_again(FileSystem& files,
                                                                     const std::string& directory);

/// Writes the header and renames the prepared file to its final name; durable on return. Fails if
/// the next start would not find it: see FileSystem::check_held_directory().
[[nodiscard]] IoResult<void> publish_segment(FileSystem& files, const std::string& directory,
                                             PreparedSegment& prepared, SegmentHeader header);

/// Writes the seal, which says that another segment follows, so that its loss is detected; durable
/// on return. `segment` is open for writing, and has this salt.
[[nodiscard]] IoResult<void> seal_segment(File& segment, std::uint64_t salt, Index next_index);

}  // namespace locker::persistence
