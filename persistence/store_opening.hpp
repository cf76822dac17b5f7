#pragma once

#include <functional>
#include <memory>
#include <string>

#include "persistence/recovery.hpp"

namespace locker::persistence {

/// A store that only this process may write, and its contents.
struct OpenedStore {
  std::unique_ptr<FileLock> lock;
  /// On STORE, in case somebody takes LOCK for a leftover and removes it.
  std::unique_ptr<FileLock> identity_lock;
  RecoveredStore recovered;
};

/// Holds and locks the directory, creates a new store in it if it does not exist or is empty,
/// recovers it, and cuts off a torn tail: afterwards the last segment durably has only zeros after
/// its last frame, and the one before it is sealed. For a new store, `random_number` supplies id
/// and salt, and the first segment has `segment_bytes`.
[[nodiscard]] OpenResult<OpenedStore> open_store(
    FileSystem& files, const std::string& directory, std::uint64_t segment_bytes,
    const std::function<std::uint64_t()>& random_number, const RecordVisitor& on_record);

/// Locks the directory by its file LOCK, which is created if it does not exist, and does nothing
/// else.
[[nodiscard]] OpenResult<std::unique_ptr<FileLock>> lock_store(FileSystem& files,
                                                               const std::string& directory);

/// Keeps servers off a store while somebody reads it.
struct ReadingLock {
  std::unique_ptr<FileLock> lock;  ///< Null if there is no file LOCK: a copy may lack it.
  std::unique_ptr<FileLock> identity_lock;
};
/// Locks a store for reading, by LOCK and STORE, and writes nothing, so that the file system may be
/// read-only.
[[nodiscard]] OpenResult<ReadingLock> lock_for_reading(FileSystem& files,
                                                       const std::string& directory);

}  // namespace locker::persistence
