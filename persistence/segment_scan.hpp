#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>

#include "persistence/aligned_bytes.hpp"
#include "persistence/segment_format.hpp"

namespace locker::persistence {

/// What follows a segment's last valid frame. As frames are written one at a time, a torn write is
/// the last thing in its chain; so a later frame proves that the one here was complete once, unless
/// the later one was written before a sync.
enum class Tail {
  clean,    ///< Zeros only.
  torn,     ///< The remains of a write that was never acknowledged: may be cut off.
  damaged,  ///< Frames were there that had been acknowledged: nothing may be cut off.
};

struct SegmentEnd {
  std::uint64_t offset = 0;    ///< After the last valid frame.
  Index next_index = 0;        ///< Of the next record.
  std::uint32_t checksum = 0;  ///< Of the last valid frame, or the header's `previous`.
  Tail tail = Tail::clean;
  std::uint64_t tail_bytes = 0;  ///< From `offset` up to the last byte that is not zero.
};

/// The bytes of a segment's file, loaded on demand.
class SegmentBytes {
 public:
  virtual ~SegmentBytes() = default;
  [[nodiscard]] virtual std::uint64_t size() const = 0;
  /// Returns the bytes from `offset` on: at least `size` of them, or all that remain. Valid until
  /// the next call.
  [[nodiscard]] virtual IoResult<std::string_view> from(std::uint64_t offset,
                                                        std::uint64_t size) = 0;
};

/// Calls `on_frame` for each valid frame of the chain, in order, and classifies the rest.
[[nodiscard]] IoResult<SegmentEnd> scan_segment(SegmentBytes& bytes, const SegmentHeader& header,
                                                const std::function<void(const Frame&)>& on_frame);
/// Does the same for `bytes`, the whole file.
[[nodiscard]] SegmentEnd scan_segment(std::string_view bytes, const SegmentHeader& header,
                                      const std::function<void(const Frame&)>& on_frame);

struct WholeFile {
  AlignedBytes bytes;      ///< The file's, padded with zeros to a multiple of direct_alignment.
  std::uint64_t size = 0;  ///< Of the file.
};
/// Reads a file from the disk.
[[nodiscard]] IoResult<WholeFile> read_whole(FileSystem& files, const std::string& path);

/// Returns the error for a file of this size of which only `read` bytes could be read.
[[nodiscard]] IoError cut_short(const std::string& path, std::uint64_t read, std::uint64_t size);

/// Decodes the header and checks it against the store and the file's name, and checks the length: a
/// truncated segment would look like one whose end was never written. `front` is the beginning of
/// the file, at least its header; `size` is the file's.
[[nodiscard]] OpenResult<SegmentHeader> check_segment(std::string_view front, std::uint64_t size,
                                                      const std::string& path, Index first_index,
                                                      const StoreId& store);

/// Returns the sentence for a damaged tail.
[[nodiscard]] std::string describe_damage(const std::string& path, const SegmentEnd& end);

}  // namespace locker::persistence
