#pragma once

#include <functional>
#include <memory>
#include <string>

#include "persistence/recovery.hpp"

namespace locker::persistence {

/// A store that this process alone may write, and what was found in it.
struct OpenedStore {
  std::unique_ptr<FileLock> lock;
  /// Of STORE, for the case that somebody takes LOCK for a remainder and removes it.
  std::unique_ptr<FileLock> identity_lock;
  RecoveredStore recovered;
};

/// Holds and locks the directory, makes a new store in it when it is not there or empty, recovers,
/// and cuts a torn tail off: afterwards the last segment has zeros only behind its last frame, on
/// the disk, and the one before it has its seal. A new store is named and salted by
/// `random_number`, and its first segment has `segment_bytes`.
[[nodiscard]] OpenResult<OpenedStore> open_store(
    FileSystem& files, const std::string& directory, std::uint64_t segment_bytes,
    const std::function<std::uint64_t()>& random_number, const RecordVisitor& on_record);

/// Only locks the directory, by its file LOCK, which is made if it is not there.
[[nodiscard]] OpenResult<std::unique_ptr<FileLock>> lock_store(FileSystem& files,
                                                               const std::string& directory);

/// What keeps servers off a store while somebody reads it.
struct ReadingLock {
  std::unique_ptr<FileLock> lock;  ///< Null without a file LOCK: a copy need not have one.
  std::unique_ptr<FileLock> identity_lock;
};
/// Locks a store for reading, by LOCK and STORE, and writes nothing: it may be on a file system
/// that is read-only.
[[nodiscard]] OpenResult<ReadingLock> lock_for_reading(FileSystem& files,
                                                       const std::string& directory);

}  // namespace locker::persistence
