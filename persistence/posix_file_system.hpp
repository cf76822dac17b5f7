#pragma once

#include "persistence/file_system.hpp"

namespace locker::persistence {

/// The local disk, through POSIX and Linux calls.
class PosixFileSystem final : public FileSystem {
 public:
  PosixFileSystem();
  ~PosixFileSystem() override;
  PosixFileSystem(const PosixFileSystem&) = delete;
  PosixFileSystem& operator=(const PosixFileSystem&) = delete;

  [[nodiscard]] IoResult<std::unique_ptr<File>> open(const std::string& path,
                                                     Access access) override;
  [[nodiscard]] IoResult<void> rename(const std::string& from, const std::string& to) override;
  [[nodiscard]] IoResult<void> remove(const std::string& path) override;
  [[nodiscard]] IoResult<std::vector<std::string>> list(const std::string& directory) override;
  [[nodiscard]] IoResult<void> make_directory(const std::string& path) override;
  [[nodiscard]] IoResult<void> sync_directory(const std::string& path) override;
  /// Takes an open-file-description lock, which also excludes a second holder in the same process.
  [[nodiscard]] IoResult<std::unique_ptr<FileLock>> lock(const std::string& path,
                                                         Locking locking) override;
  [[nodiscard]] IoResult<std::uint64_t> free_space(const std::string& directory) override;
  [[nodiscard]] IoResult<void> hold_directory(const std::string& path) override;
  [[nodiscard]] IoResult<void> check_held_directory() override;

 private:
  struct HeldDirectory;
  struct Place;
  /// Resolves paths in the held directory relative to its descriptor.
  [[nodiscard]] Place place_of(const std::string& path) const;

  std::unique_ptr<const HeldDirectory> held_;  ///< Or null.
};

}  // namespace locker::persistence
