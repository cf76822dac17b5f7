#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "core/record.hpp"
#include "persistence/open_fault.hpp"
#include "persistence/store_files.hpp"

namespace locker::persistence {

/// A snapshot is a header of this many bytes and then blocks. See FORMAT.md.
inline constexpr std::size_t snapshot_header_bytes = 4096;
inline constexpr std::size_t snapshot_block_bytes = 256 * 1024;

struct SnapshotHeader {
  StoreId store{};
  std::uint64_t salt = 0;
  Index index = 0;             ///< The state after this record.
  core::Fence last_fence = 0;  ///< The highest granted up to then, also when that lock has ended.
};

[[nodiscard]] std::string encode(const SnapshotHeader& header);
[[nodiscard]] OpenResult<SnapshotHeader> decode_snapshot_header(std::string_view bytes,
                                                                const StoreId& store,
                                                                const std::string& path);

/// Up to snapshot_block_bytes - snapshot_block_overhead bytes of records. Blocks form a chain as
/// frames do.
struct SnapshotBlock {
  std::uint32_t number = 0;
  std::uint32_t count = 0;
  bool is_last = false;
  std::uint32_t previous = 0;
  std::uint32_t checksum = 0;
  std::string_view records;
};
inline constexpr std::size_t snapshot_block_overhead = 24;

/// What a snapshot of so many locks and leases takes at most. Any count.
[[nodiscard]] constexpr std::uint64_t snapshot_bytes_max(std::uint64_t held) {
  constexpr std::uint64_t records_min =  // in a block that is not the last one
      (snapshot_block_bytes - snapshot_block_overhead) / core::record_bytes_max;
  return snapshot_header_bytes + (1 + held / records_min) * snapshot_block_bytes;
}

/// The block as it stands in the file: snapshot_block_bytes, filled up with zeros. Returns its
/// checksum; block.checksum is not looked at. REQUIRES: the records fit.
std::uint32_t encode(const SnapshotBlock& block, std::uint64_t salt, std::string& out);
/// False when the checksum is wrong. REQUIRES: `bytes` has snapshot_block_bytes.
[[nodiscard]] bool decode(std::string_view bytes, std::uint64_t salt, SnapshotBlock& block);

}  // namespace locker::persistence
