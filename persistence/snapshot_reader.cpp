#include "persistence/snapshot_reader.hpp"

#include <utility>

#include "persistence/aligned_bytes.hpp"

namespace locker::persistence {
namespace {

/// Returns null, or what is wrong with the records.
const char* read_records(const SnapshotBlock& block,
                         const std::function<bool(const core::Record&)>& on_opening,
                         const RecordWindow::OnComing& on_coming) {
  RecordWindow records{block.records, on_coming};
  std::uint32_t count = 0;
  while (const core::Record* const record = records.next()) {
    const bool opens = std::holds_alternative<core::Granted>(*record) ||
                       std::holds_alternative<core::LeaseOpened>(*record);
    if (!opens) return "a record of the snapshot opens neither a lock nor a lease";
    if (!on_opening(*record)) return "a record contradicts the ones before it";
    ++count;
  }
  if (records.fault() != nullptr) return records.fault();
  return count == block.count ? nullptr : "a block does not have as many records as it states";
}

}  // namespace

OpenResult<SnapshotReader> SnapshotReader::open(FileSystem& files, const std::string& path,
                                                Index index, const StoreId& store) {
  auto file = files.open(path, Access::read);
  if (!file) return open_fault(file.error());
  AlignedBytes bytes{snapshot_header_bytes};
  const auto size = (*file)->read_at(0, bytes.span());
  if (!size) return open_fault(size.error());
  const auto header = decode_snapshot_header(bytes.view().substr(0, *size), store, path);
  if (!header) return header.error();
  if (header->index != index) {
    return OpenFault{OpenFault::Kind::damaged, path + " is a snapshot at index " +
                                                   std::to_string(header->index) +
                                                   "; it was renamed: its name should be " +
                                                   snapshot_name(header->index) + "."};
  }
  return SnapshotReader{std::move(*file), path, *header};
}

OpenFault SnapshotReader::damage(std::uint64_t offset, const char* what) const {
  return {OpenFault::Kind::damaged,
          path_ + " at offset " + std::to_string(offset) + ": " + what + "."};
}

OpenResult<void> SnapshotReader::read(const std::function<bool(const core::Record&)>& on_opening,
                                      const RecordWindow::OnComing& on_coming) {
  AlignedBytes bytes{snapshot_block_bytes};
  std::uint32_t previous = 0;
  for (std::uint32_t number = 0;; ++number) {
    const std::uint64_t offset =
        snapshot_header_bytes + std::uint64_t{number} * snapshot_block_bytes;
    const auto size = file_->read_at(offset, bytes.span());
    if (!size) return open_fault(size.error());
    if (*size != snapshot_block_bytes) return damage(offset, "the snapshot ends in the middle");
    SnapshotBlock block;
    if (!decode(bytes.view(), header_.salt, block)) return damage(offset, "a block is damaged");
    if (block.number != number || block.previous != previous) {
      return damage(offset, "a block is in the wrong place");
    }
    if (const char* const fault = read_records(block, on_opening, on_coming))
      return damage(offset, fault);
    if (block.is_last) return {};
    previous = block.checksum;
  }
}

OpenResult<void> SnapshotReader::check(FileSystem& files, const std::string& path, Index index,
                                       const StoreId& store) {
  auto reader = open(files, path, index, store);
  if (!reader) return reader.error();
  return reader->read([](const core::Record&) { return true; });
}

}  // namespace locker::persistence
