#pragma once

#include <memory>
#include <string>

#include "core/record.hpp"
#include "persistence/pace.hpp"
#include "persistence/snapshot_format.hpp"

namespace locker::persistence {

/// Writes a snapshot aside, and publishes it only when all of it is known to be on the disk.
class SnapshotWriter {
 public:
  /// One that gets larger than `bytes_max` is not written: is_full_disk(error).
  [[nodiscard]] static IoResult<SnapshotWriter> create(FileSystem& files, std::string directory,
                                                       const SnapshotHeader& header,
                                                       std::uint64_t bytes_max);

  /// A grant or an opened lease. REQUIRES: in ascending order of id.
  [[nodiscard]] IoResult<void> add(const core::Record& opening);

  /// Writes the rest, syncs, reads everything back, looks whether the directory has its name,
  /// renames, syncs the directory. Durable on return. False when given up before all was read.
  /// A fault of kind `damaged` says that the disk does not give back what it was given.
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
