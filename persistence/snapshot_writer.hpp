#pragma once

#include <memory>
#include <string>

#include "core/record.hpp"
#include "persistence/pace.hpp"
#include "persistence/snapshot_format.hpp"

namespace locker::persistence {

/// Writes a snapshot to a temporary file, and publishes it only when all of it is known to be on
/// the disk.
class SnapshotWriter {
 public:
  /// A snapshot that exceeds `bytes_max` is not completed: is_full_disk(error).
  [[nodiscard]] static IoResult<SnapshotWriter> create(FileSystem& files, std::string directory,
                                                       const SnapshotHeader& header,
                                                       std::uint64_t bytes_max);

  /// Adds a grant or an opened lease. REQUIRES: in ascending order of id.
  [[nodiscard]] IoResult<void> add(const core::Record& opening);

  /// Writes the rest, syncs, reads everything back, checks that the directory still has its name,
  /// renames the file, and syncs the directory. Durable on return. Returns false if stopped before
  /// everything was read back. A fault of kind `damaged` says that the disk returned something
  /// other than what was written.
  [[nodiscard]] OpenResult<bool> publish(Pace& pace);

  [[nodiscard]] std::uint64_t bytes() const {
    return snapshot_header_bytes + std::uint64_t{block_number_} * snapshot_block_bytes;
  }

 private:
  SnapshotWriter(FileSystem& files, std::string directory, const SnapshotHeader& header,
                 std::uint64_t bytes_max, std::unique_ptr<File> file)
      : files_(&files),
        directory_(std::move(directory)),
        header_(header),
        bytes_max_(bytes_max),
        file_(std::move(file)) {}

  [[nodiscard]] IoResult<void> write_block(bool is_last);
  [[nodiscard]] std::string temporary_path() const;

  FileSystem* files_;
  std::string directory_;
  SnapshotHeader header_;
  std::uint64_t bytes_max_;
  std::unique_ptr<File> file_;
  std::string records_;
  std::string block_;
  std::uint32_t record_count_ = 0;
  std::uint32_t block_number_ = 0;
  std::uint32_t previous_ = 0;
};

}  // namespace locker::persistence
