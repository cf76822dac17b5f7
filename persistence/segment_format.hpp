#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "persistence/open_fault.hpp"
#include "persistence/store_files.hpp"

namespace locker::persistence {

/// A segment is a header of this many bytes, then frames, then zeros. See FORMAT.md.
inline constexpr std::size_t segment_header_bytes = 4096;
/// The smallest size of a segment's file, which is a power of two: what is still useful when the
/// disk is nearly full.
inline constexpr std::uint64_t segment_bytes_min = std::uint64_t{256} << 10U;

struct SegmentHeader {
  StoreId store{};
  std::uint64_t salt = 0;      ///< Seeds every checksum, so that bytes of another file never pass.
  Index first_index = 0;       ///< Of the first record in the segment.
  std::uint32_t previous = 0;  ///< Checksum of the previous segment's last frame, or 0.
  /// Size of the file, which never changes, so that a truncated file is detected. 0: written by an
  /// older lockerd, which did not record it.
  std::uint64_t bytes = 0;
};

[[nodiscard]] std::string encode(const SegmentHeader& header);
/// A fault names `path`. REQUIRES: `bytes` are the first of the file, up to all of them.
[[nodiscard]] OpenResult<SegmentHeader> decode_segment_header(std::string_view bytes,
                                                              const StoreId& store,
                                                              const std::string& path);

/// Offset in the header block of the seal, which is written when the next segment is durable and
/// says that there is one.
inline constexpr std::size_t seal_offset = 512;
[[nodiscard]] std::string encode_seal(Index next_index, std::uint64_t salt);
/// REQUIRES: `bytes` begin with a header block.
[[nodiscard]] bool is_sealed(std::string_view bytes);

/// The records of one append, which is one group commit.
struct Frame {
  Index first_index = 0;
  std::uint32_t count = 0;
  /// Everything up to this index was durable before the frame was written: with Durability::always
  /// all records before it, otherwise what the last sync covered.
  Index synced_index = 0;
  std::uint32_t previous = 0;  ///< Checksum of the previous frame: frames form a chain.
  std::uint32_t checksum = 0;
  std::string_view records;
  [[nodiscard]] std::size_t size() const;
};

/// The most bytes that a frame takes besides its records, padding included.
inline constexpr std::size_t frame_overhead_max = 40;
/// Frames begin at multiples of this.
inline constexpr std::size_t frame_alignment = 8;

/// Appends the encoded frame and returns its checksum; ignores frame.checksum.
std::uint32_t append_frame(const Frame& frame, std::uint64_t salt, std::string& out);

/// Returns the length that a frame at the front of the bytes claims to have, without padding; 0 if
/// they do not begin with a frame. The bytes may hold only the beginning of the frame.
[[nodiscard]] std::uint64_t frame_bytes_said(std::string_view bytes);

/// Decodes the front of the bytes as a frame, if that fits into them. Any bytes can look like a
/// frame; only the checksum proves it, and that costs reading all its records.
[[nodiscard]] std::optional<Frame> read_unchecked_frame(std::string_view bytes);
[[nodiscard]] bool has_right_checksum(const Frame& frame, std::uint64_t salt);

/// Returns the frame at the front of the bytes, if it is complete and its checksum is right.
[[nodiscard]] std::optional<Frame> read_frame(std::string_view bytes, std::uint64_t salt);

}  // namespace locker::persistence
