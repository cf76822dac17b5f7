#include "persistence/segment_format.hpp"

#include <bit>
#include <cstring>

#include "persistence/salted_checksum.hpp"

namespace locker::persistence {
namespace {

static_assert(std::endian::native == std::endian::little, "files are little-endian");

constexpr std::string_view magic = "LOCKSEGM";

struct HeaderBytes {
  char magic[8];
  std::uint32_t version;
  std::uint32_t previous;
  StoreId store;
  std::uint64_t salt;
  Index first_index;
  std::uint32_t blocks;  // of the file, in units of the header's size
  std::uint32_t checksum;
};
static_assert(sizeof(HeaderBytes) == 56);

struct SealBytes {
  Index next_index;
  std::uint32_t zero;
  std::uint32_t checksum;
};
static_assert(sizeof(SealBytes) == 16);

struct FrameBytes {
  std::uint32_t length;
  std::uint32_t count;
  Index first_index;
  Index synced_index;
  std::uint32_t previous;
  std::uint32_t checksum;
};
static_assert(sizeof(FrameBytes) == 32);
static_assert(sizeof(FrameBytes) + frame_alignment <= frame_overhead_max);

/// Returns the header without the checksum.
FrameBytes header_of(const Frame& frame) {
  return {static_cast<std::uint32_t>(frame.records.size()),
          frame.count,
          frame.first_index,
          frame.synced_index,
          frame.previous,
          0};
}

std::size_t padded(std::size_t size) {
  return (size + frame_alignment - 1) / frame_alignment * frame_alignment;
}

}  // namespace

std::string encode(const SegmentHeader& header) {
  const auto blocks = static_cast<std::uint32_t>(header.bytes / segment_header_bytes);
  HeaderBytes bytes{{},          format_version,     header.previous, header.store,
                    header.salt, header.first_index, blocks,          0};
  std::memcpy(bytes.magic, magic.data(), sizeof bytes.magic);
  bytes.checksum = crc32c(0, before_checksum(bytes));
  std::string block(segment_header_bytes, '\0');
  std::memcpy(block.data(), &bytes, sizeof bytes);
  return block;
}

OpenResult<SegmentHeader> decode_segment_header(std::string_view bytes, const StoreId& store,
                                                const std::string& path) {
  HeaderBytes header{};
  if (bytes.size() >= sizeof header) std::memcpy(&header, bytes.data(), sizeof header);
  const bool is_whole = bytes.size() >= segment_header_bytes &&
                        std::string_view(header.magic, sizeof header.magic) == magic &&
                        header.checksum == crc32c(0, before_checksum(header));
  if (!is_whole) {
    return OpenFault{OpenFault::Kind::damaged,
                     path +
                         " at offset 0: the segment's header is damaged; restore the file from "
                         "a backup taken after the last change."};
  }
  if (!reads_format(header.version)) return newer_format(path, header.version);
  if (header.store != store) {
    return OpenFault{OpenFault::Kind::damaged,
                     path + " belongs to another store; put back this store's own file."};
  }
  return SegmentHeader{header.store, header.salt, header.first_index, header.previous,
                       std::uint64_t{header.blocks} * segment_header_bytes};
}

std::string encode_seal(Index next_index, std::uint64_t salt) {
  SealBytes bytes{next_index, 0, 0};
  bytes.checksum = salted_checksum(bytes, {}, salt);
  return {reinterpret_cast<const char*>(&bytes), sizeof bytes};
}

bool is_sealed(std::string_view bytes) {
  // Anything but zeros means that a seal was written: a damaged seal is still a seal.
  return bytes.substr(seal_offset, sizeof(SealBytes)).find_first_not_of('\0') !=
         std::string_view::npos;
}

std::size_t Frame::size() const { return padded(sizeof(FrameBytes) + records.size()); }

std::uint32_t append_frame(const Frame& frame, std::uint64_t salt, std::string& out) {
  FrameBytes bytes = header_of(frame);
  bytes.checksum = salted_checksum(bytes, frame.records, salt);
  out.append(reinterpret_cast<const char*>(&bytes), sizeof bytes);
  out.append(frame.records);
  out.append(frame.size() - sizeof bytes - frame.records.size(), '\0');
  return bytes.checksum;
}

std::uint64_t frame_bytes_said(std::string_view bytes) {
  FrameBytes header{};
  if (bytes.size() < sizeof header) return 0;
  std::memcpy(&header, bytes.data(), sizeof header);
  if (header.length == 0 || header.count == 0) return 0;
  return sizeof header + std::uint64_t{header.length};
}

std::optional<Frame> read_unchecked_frame(std::string_view bytes) {
  FrameBytes header{};
  if (bytes.size() < sizeof header) return std::nullopt;
  std::memcpy(&header, bytes.data(), sizeof header);
  bytes.remove_prefix(sizeof header);
  if (header.length == 0 || header.count == 0 || header.length > bytes.size()) return std::nullopt;
  return Frame{header.first_index, header.count,    header.synced_index,
               header.previous,    header.checksum, bytes.substr(0, header.length)};
}

bool has_right_checksum(const Frame& frame, std::uint64_t salt) {
  return frame.checksum == salted_checksum(header_of(frame), frame.records, salt);
}

std::optional<Frame> read_frame(std::string_view bytes, std::uint64_t salt) {
  const auto frame = read_unchecked_frame(bytes);
  return frame && has_right_checksum(*frame, salt) ? frame : std::nullopt;
}

}  // namespace locker::persistence
