#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "core/record.hpp"
#include "persistence/open_fault.hpp"
#include "persistence/store_files.hpp"

namespace locker::persistence {

/// A snapshot is a header of this many bytes, then blocks. See FORMAT.md.
inline constexpr std::size_t snapshot_header_bytes = 4096;
inline constexpr std::size_t snapshot_block_bytes = 256 * 1024;

struct SnapshotHeader {
  StoreId store{};
  std::uint64_t salt = 0;
  Index index = 0;             ///< The snapshot is the state after this record.
  core::Fence last_fence = 0;  ///< The highest granted up to `index`, even if that lock has ended.
};

[[nodiscard]] std::string encode(const SnapshotHeader& header);
[[nodiscard]] OpenResult<SnapshotHeader> decode_snapshot_header(std::string_view bytes,
                                                                const StoreId& store,
                                                                const std::string& path);

/// A block holds up to snapshot_block_bytes - snapshot_block_overhead bytes of records. Blocks form
/// a chain, as frames do.
struct SnapshotBlock {
  std::uint32_t number = 0;
  std::uint32_t count = 0;
  bool is_last = false;
  std::uint32_t previous = 0;
  std::uint32_t checksum = 0;
  std::string_view records;
};
inline constexpr std::size_t snapshot_block_overhead = 24;

/// Returns the largest possible size of a snapshot of `held` locks and leases. Accepts any count.
[[nodiscard]] constexpr std::uint64_t snapshot_bytes_max(std::uint64_t held) {
  constexpr std::uint64_t records_min =  // in any block but the last
      (snapshot_block_bytes - snapshot_block_overhead) / core::record_bytes_max;
  return snapshot_header_bytes + (1 + held / records_min) * snapshot_block_bytes;
}

/// Encodes the block as it is stored: snapshot_block_bytes, padded with zeros. Returns its
/// checksum; ignores block.checksum. REQUIRES: the records fit.
std::uint32_t encode(const SnapshotBlock& block, std::uint64_t salt, std::string& out);
/// Returns false if the checksum is wrong. REQUIRES: `bytes` has snapshot_block_bytes.
[[nodiscard]] bool decode(std::string_view bytes, std::uint64_t salt, SnapshotBlock& block);

}  // namespace locker::persistence
