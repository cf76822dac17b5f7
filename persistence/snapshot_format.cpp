#include "persistence/snapshot_format.hpp"

#include <cstring>

#include "core/assert.hpp"
#include "persistence/salted_checksum.hpp"

namespace locker::persistence {
namespace {

constexpr std::string_view magic = "LOCKSNAP";

struct HeaderBytes {
  char magic[8];
  std::uint32_t version;
  std::uint32_t zero;
  StoreId store;
  std::uint64_t salt;
  Index index;
  core::Fence last_fence;
  std::uint32_t also_zero;
  std::uint32_t checksum;
};
static_assert(sizeof(HeaderBytes) == 64);

struct BlockBytes {
  std::uint32_t number;
  std::uint32_t length;
  std::uint32_t count;
  std::uint32_t is_last;
  std::uint32_t previous;
  std::uint32_t checksum;
};
static_assert(sizeof(BlockBytes) == snapshot_block_overhead);

}  // namespace

std::string encode(const SnapshotHeader& header) {
  HeaderBytes bytes{
      {}, format_version, 0, header.store, header.salt, header.index, header.last_fence, 0, 0};
  std::memcpy(bytes.magic, magic.data(), sizeof bytes.magic);
  bytes.checksum = crc32c(0, before_checksum(bytes));
  std::string block(snapshot_header_bytes, '\0');
  std::memcpy(block.data(), &bytes, sizeof bytes);
  return block;
}

OpenResult<SnapshotHeader> decode_snapshot_header(std::string_view bytes, const StoreId& store,
                                                  const std::string& path) {
  HeaderBytes header{};
  if (bytes.size() >= sizeof header) std::memcpy(&header, bytes.data(), sizeof header);
  const bool is_whole = bytes.size() >= snapshot_header_bytes &&
                        std::string_view(header.magic, sizeof header.magic) == magic &&
                        header.checksum == crc32c(0, before_checksum(header));
  if (!is_whole) {
    return OpenFault{OpenFault::Kind::damaged,
                     path + " at offset 0: the snapshot's header is damaged."};
  }
  if (!reads_format(header.version)) return newer_format(path, header.version);
  if (header.store != store) {
    return OpenFault{OpenFault::Kind::damaged, path + " belongs to another store."};
  }
  return SnapshotHeader{header.store, header.salt, header.index, header.last_fence};
}

std::uint32_t encode(const SnapshotBlock& block, std::uint64_t salt, std::string& out) {
  LOCKER_ASSERT(block.records.size() <= snapshot_block_bytes - snapshot_block_overhead);
  BlockBytes bytes{block.number,   static_cast<std::uint32_t>(block.records.size()),
                   block.count,    block.is_last ? 1U : 0U,
                   block.previous, 0};
  bytes.checksum = salted_checksum(bytes, block.records, salt);
  out.assign(snapshot_block_bytes, '\0');
  std::memcpy(out.data(), &bytes, sizeof bytes);
  block.records.copy(out.data() + sizeof bytes, block.records.size());
  return bytes.checksum;
}

bool decode(std::string_view bytes, std::uint64_t salt, SnapshotBlock& block) {
  LOCKER_ASSERT(bytes.size() == snapshot_block_bytes);
  BlockBytes header{};
  std::memcpy(&header, bytes.data(), sizeof header);
  bytes.remove_prefix(sizeof header);
  if (header.length > bytes.size()) return false;
  const std::string_view records = bytes.substr(0, header.length);
  if (header.checksum != salted_checksum(header, records, salt)) return false;
  block = {header.number,   header.count,    header.is_last != 0,
           header.previous, header.checksum, records};
  return true;
}

}  // namespace locker::persistence
