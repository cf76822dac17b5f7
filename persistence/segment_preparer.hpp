#pragma once

#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "persistence/segment_format.hpp"

namespace locker::persistence {

/// How long segments are, if the disk has room: the first one of a store 4 MiB, each next one twice
/// as long, up to `limit` rounded down to a power of two. A small store stays small, and the first
/// start is quick.
[[nodiscard]] std::uint64_t first_segment_bytes(std::uint64_t limit);
/// Behind one of so many bytes. One that had to be smaller than the first counts as long as that.
[[nodiscard]] std::uint64_t next_segment_bytes(std::uint64_t bytes, std::uint64_t limit);

/// Left free by segments, and by snapshots once what they replace is gone, for the small files, and
/// for what leads out of a full disk when little is held any more: two of the smallest segments,
/// and two of the smallest snapshots, the second of which frees what was before the first.
inline constexpr std::uint64_t spare_bytes_min = std::uint64_t{2} << 20U;

/// A segment's file made of zeros, on the disk as such; without a header, so that it can wait for
/// whatever comes.
struct PreparedSegment {
  std::unique_ptr<File> file;
  std::uint64_t bytes = 0;
};

struct SegmentWish {
  std::uint64_t bytes = 0;                        ///< A power of two.
  std::uint64_t spare_bytes = 0;                  ///< To be left free beside it.
  std::uint64_t least_bytes = segment_bytes_min;  ///< A power of two.
};

/// Makes the file `name` of so many bytes, or of half of that and so on while the disk has no room
/// for it. Zeros are written and not only allocated: a sync then has no metadata to write (122 us
/// instead of 177, see FORMAT.md). Durable on return, its name too.
/// is_full_disk(error) when not even the least fits; nothing is left behind then.
[[nodiscard]] IoResult<PreparedSegment> prepare_segment(FileSystem& files,
                                                        const std::string& directory,
                                                        const SegmentWish& wish,
                                                        std::string_view name = prepared_name);

/// What a process before this one had prepared, made of zeros again: in its place, so that nobody
/// else gets its room meanwhile. Null when there is nothing, or half of it, or no room even so.
[[nodiscard]] IoResult<std::optional<PreparedSegment>> prepare_again(FileSystem& files,
                                                                     const std::string& directory);

/// Writes the header, and gives the prepared file its name; durable on return. An error when a
/// start would not find it: see FileSystem::check_held_directory().
[[nodiscard]] IoResult<void> publish_segment(FileSystem& files, const std::string& directory,
                                             PreparedSegment& prepared, SegmentHeader header);

/// Writes into a segment that another one follows, so that it is missed when it is lost; durable
/// on return. `segment` is open for writing, and has this salt.
[[nodiscard]] IoResult<void> seal_segment(File& segment, std::uint64_t salt, Index next_index);

}  // namespace locker::persistence
