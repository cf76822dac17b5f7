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
/// Its file has a power of two of bytes, at least this many: what is still worth having when the
/// disk is nearly full.
inline constexpr std::uint64_t segment_bytes_min = std::uint64_t{256} << 10U;

struct SegmentHeader {
  StoreId store{};
  std::uint64_t salt = 0;      ///< Seeds every checksum: bytes of another file never pass.
  Index first_index = 0;       ///< Of the first record in it.
  std::uint32_t previous = 0;  ///< Checksum of the last frame in the segment before; else 0.
  /// Of the file, which never changes: one that lost its end shows it. 0: an older lockerd made it,
  /// and did not say.
  std::uint64_t bytes = 0;
};

[[nodiscard]] std::string encode(const SegmentHeader& header);
/// A fault names `path`. REQUIRES: `bytes` are the file's first, as many as there are.
[[nodiscard]] OpenResult<SegmentHeader> decode_segment_header(std::string_view bytes,
                                                              const StoreId& store,
                                                              const std::string& path);

/// Written into the header block when the next segment is on the disk: says that there is one.
inline constexpr std::size_t seal_offset = 512;
[[nodiscard]] std::string encode_seal(Index next_index, std::uint64_t salt);
/// REQUIRES: `bytes` begin with a header block.
[[nodiscard]] bool is_sealed(std::string_view bytes);

/// What one append wrote: the records of one group commit.
struct Frame {
  Index first_index = 0;
  std::uint32_t count = 0;
  /// Everything up to this index was on disk before the frame was written: with
  /// Durability::always all that stands before it, else what the last sync covered.
  Index synced_index = 0;
  std::uint32_t previous = 0;  ///< Checksum of the frame before it: frames form a chain.
  std::uint32_t checksum = 0;
  std::string_view records;
  [[nodiscard]] std::size_t size() const;
};

/// Room that a frame needs besides its records, padding included, at most.
inline constexpr std::size_t frame_overhead_max = 40;
/// Frames begin at multiples of this.
inline constexpr std::size_t frame_alignment = 8;

/// Appends the frame's bytes, and returns its checksum; frame.checksum is not looked at.
std::uint32_t append_frame(const Frame& frame, std::uint64_t salt, std::string& out);

/// How many bytes a frame at the front of these takes by what it says itself, without the padding
/// behind it; 0: they do not begin with one. They need not be all of it.
[[nodiscard]] std::uint64_t frame_bytes_said(std::string_view bytes);

/// What the front of the bytes says as a frame, if that fits into them. Any bytes can say it: only
/// the checksum tells a frame from them, and costs the reading of all its records.
[[nodiscard]] std::optional<Frame> read_unchecked_frame(std::string_view bytes);
[[nodiscard]] bool has_right_checksum(const Frame& frame, std::uint64_t salt);

/// The frame at the front of the bytes, if there is a whole one with the right checksum.
[[nodiscard]] std::optional<Frame> read_frame(std::string_view bytes, std::uint64_t salt);

}  // namespace locker::persistence
