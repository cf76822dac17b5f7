#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>

#include "persistence/aligned_bytes.hpp"
#include "persistence/segment_format.hpp"

namespace locker::persistence {

/// What stands behind a segment's last whole frame. With one frame under way at a time, a torn
/// write is the last thing in its chain; so a later frame proves that the one here was whole once,
/// unless it was written before a sync.
enum class Tail {
  clean,    ///< Zeros only.
  torn,     ///< The remains of a write that was never acknowledged: may be cut off.
  damaged,  ///< Frames were there that somebody was told of: nothing may be cut off.
};

struct SegmentEnd {
  std::uint64_t offset = 0;    ///< Behind the last whole frame.
  Index next_index = 0;        ///< Of the record that would come next.
  std::uint32_t checksum = 0;  ///< Of the last whole frame; the header's `previous` if none.
  Tail tail = Tail::clean;
  std::uint64_t tail_bytes = 0;  ///< From `offset` up to the last byte that is not zero.
};

/// The bytes of a segment's file, of which as many are in memory as are asked for.
class SegmentBytes {
 public:
  virtual ~SegmentBytes() = default;
  [[nodiscard]] virtual std::uint64_t size() const = 0;
  /// Those from `offset` on: at least `size` of them, or all there are. Good until the next call.
  [[nodiscard]] virtual IoResult<std::string_view> from(std::uint64_t offset,
                                                        std::uint64_t size) = 0;
};

/// Calls `on_frame` for each whole frame of the chain, in order.
[[nodiscard]] IoResult<SegmentEnd> scan_segment(SegmentBytes& bytes, const SegmentHeader& header,
                                                const std::function<void(const Frame&)>& on_frame);
/// The same. `bytes` is the whole file.
[[nodiscard]] SegmentEnd scan_segment(std::string_view bytes, const SegmentHeader& header,
                                      const std::function<void(const Frame&)>& on_frame);

struct WholeFile {
  AlignedBytes bytes;      ///< Its own, then zeros up to a multiple of direct_alignment.
  std::uint64_t size = 0;  ///< Of the file.
};
/// From the disk.
[[nodiscard]] IoResult<WholeFile> read_whole(FileSystem& files, const std::string& path);

/// A file has this size and gives back no more than `read` bytes of it.
[[nodiscard]] IoError cut_short(const std::string& path, std::uint64_t read, std::uint64_t size);

/// The header, checked against the store and against the file's name, and its length: a segment
/// that lost its end would look like one that nothing was written to. `front` is the file's first
/// bytes, at least the header's, `size` that of the file.
[[nodiscard]] OpenResult<SegmentHeader> check_segment(std::string_view front, std::uint64_t size,
                                                      const std::string& path, Index first_index,
                                                      const StoreId& store);

/// The sentence for a damaged tail.
[[nodiscard]] std::string describe_damage(const std::string& path, const SegmentEnd& end);

}  // namespace locker::persistence
