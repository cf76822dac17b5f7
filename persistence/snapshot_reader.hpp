#pragma once

#include <functional>
#include <memory>
#include <string>

#include "core/record.hpp"
#include "persistence/record_window.hpp"
#include "persistence/snapshot_format.hpp"

namespace locker::persistence {

/// Reads a snapshot from the disk, block by block.
class SnapshotReader {
 public:
  /// Opens the snapshot and checks that its header has this store and this index.
  [[nodiscard]] static OpenResult<SnapshotReader> open(FileSystem& files, const std::string& path,
                                                       Index index, const StoreId& store);
  /// Reads the whole snapshot to verify it.
  [[nodiscard]] static OpenResult<void> check(FileSystem& files, const std::string& path,
                                              Index index, const StoreId& store);
  [[nodiscard]] const SnapshotHeader& header() const { return header_; }
  [[nodiscard]] IoResult<std::uint64_t> file_bytes() const { return file_->size(); }

  /// Calls `on_opening` for each grant and each opened lease, in order of id, and verifies every
  /// byte on the way; the file is known to be valid only after this has returned. `on_opening`
  /// returns false for a contradiction. `on_coming` is called for each record some time before.
  [[nodiscard]] OpenResult<void> read(const std::function<bool(const core::Record&)>& on_opening,
                                      const RecordWindow::OnComing& on_coming = {});

 private:
  SnapshotReader(std::unique_ptr<File> file, std::string path, const SnapshotHeader& header)
      : file_(std::move(file)), path_(std::move(path)), header_(header) {}

  [[nodiscard]] OpenFault damage(std::uint64_t offset, const char* what) const;

  std::unique_ptr<File> file_;
  std::string path_;
  SnapshotHeader header_;
};

}  // namespace locker::persistence
