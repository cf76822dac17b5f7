#pragma once

#include <cerrno>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include <boost/system/error_code.hpp>
#include <boost/system/result.hpp>

namespace locker::persistence {

/// An error reported by the operating system, and the file it concerns.
struct IoError {
  boost::system::error_code code;
  std::string message;      ///< A sentence with the path and the system's own words.
  bool of_reading = false;  ///< A part of an open file could not be read.
};

template <typename T>
using IoResult = boost::system::result<T, IoError>;

/// Whether the disk or the user's quota is full, or the file would exceed a size limit (ulimit -f).
[[nodiscard]] inline bool is_full_disk(const IoError& error) {
  const int code = error.code.value();
  return code == ENOSPC || code == EDQUOT || code == EFBIG;
}

/// Whether no file can be opened at the moment, for lack of file descriptors. Nothing is wrong with
/// the disk, and nothing was done.
[[nodiscard]] inline bool is_short_of_descriptors(const boost::system::error_code& code) {
  return code.value() == EMFILE || code.value() == ENFILE;
}

/// The alignment of offset, length and address for I/O that bypasses the page cache, as O_DIRECT
/// requires.
inline constexpr std::size_t direct_alignment = 4096;

/// An open file. One thread may write while another syncs.
class File {
 public:
  virtual ~File() = default;

  /// Writes all of the bytes; nothing is durable before sync(). After an error any part of them may
  /// have been written.
  [[nodiscard]] virtual IoResult<void> write_at(std::uint64_t offset, std::string_view bytes) = 0;

  /// Reads from the disk, bypassing the page cache: after a failed sync the cache can show data
  /// that the disk does not have. Returns the number of bytes read, which is less than requested
  /// only at the end of the file. A file opened for writing is read through the cache, unless
  /// bypass_cache() returned true. REQUIRES: offset, length and address are multiples of
  /// direct_alignment.
  [[nodiscard]] virtual IoResult<std::size_t> read_at(std::uint64_t offset,
                                                      std::span<char> bytes) = 0;

  /// Makes everything written before, and the file's size, durable. After an error it is unknown
  /// what is durable, and a second attempt proves nothing: the kernel may have dropped the data.
  [[nodiscard]] virtual IoResult<void> sync() = 0;

  /// Reserves this many bytes of zeros on the disk, so that a full disk is discovered here and not
  /// later. Succeeds without effect if the file system has no such call.
  [[nodiscard]] virtual IoResult<void> allocate(std::uint64_t bytes) = 0;

  [[nodiscard]] virtual IoResult<std::uint64_t> size() const = 0;

  /// Makes all further writes and reads bypass the page cache; they must be multiples of
  /// direct_alignment. Returns false, and changes nothing, if that is not possible. REQUIRES:
  /// opened for writing.
  virtual bool bypass_cache() { return false; }
};

/// How a file is opened. New files have mode 0600.
enum class Access {
  create,  ///< For writing; fails if the file exists.
  write,   ///< For writing; the file must exist.
  read,    ///< For uncached reading; the file must exist. Syncs what was written before.
};

/// How a file is locked.
enum class Locking {
  create,  ///< Exclusively; creates the file if it does not exist.
  owner,   ///< Exclusively; the file must exist.
  reader,  ///< Shared with other readers; the file must exist, and read permission suffices.
};

/// Holds a file's lock until it is destroyed; the kernel releases the lock when the process ends,
/// however it ends.
class FileLock {
 public:
  virtual ~FileLock() = default;
};

/// The only interface to the kernel, so that a simulated disk can lose, tear and fail writes. It
/// has only what the journal needs. Thread-safe, except hold_directory(). Paths are passed to the
/// system unchanged, except those inside a held directory.
class FileSystem {
 public:
  virtual ~FileSystem() = default;

  [[nodiscard]] virtual IoResult<std::unique_ptr<File>> open(const std::string& path,
                                                             Access access) = 0;
  /// Replaces `to` if it exists. Atomic; durable only after sync_directory().
  [[nodiscard]] virtual IoResult<void> rename(const std::string& from, const std::string& to) = 0;
  /// Durable only after sync_directory().
  [[nodiscard]] virtual IoResult<void> remove(const std::string& path) = 0;
  /// Returns the names in a directory, without "." and "..", in no particular order. ENOTDIR if it
  /// is a file.
  [[nodiscard]] virtual IoResult<std::vector<std::string>> list(const std::string& directory) = 0;
  /// Creates one directory (0700); its parent must exist.
  [[nodiscard]] virtual IoResult<void> make_directory(const std::string& path) = 0;
  /// Makes what was created, renamed and removed in the directory durable.
  [[nodiscard]] virtual IoResult<void> sync_directory(const std::string& path) = 0;
  /// Locks a file without waiting: EWOULDBLOCK if someone else holds a conflicting lock.
  [[nodiscard]] virtual IoResult<std::unique_ptr<FileLock>> lock(const std::string& path,
                                                                 Locking locking) = 0;
  /// Returns how many bytes this user can still write on the directory's disk.
  [[nodiscard]] virtual IoResult<std::uint64_t> free_space(const std::string& directory) = 0;

  /// Binds this path, and every path that begins with it and a slash, to the directory that it
  /// names at the time of the call, even if that is moved, something else gets its name, or the
  /// working directory changes. Replaces a directory held before. REQUIRES: no other call is in
  /// progress.
  [[nodiscard]] virtual IoResult<void> hold_directory(const std::string& path) = 0;
  /// Fails if the path does not name the held directory any more, because the next start would not
  /// find what is written from then on; the message says where the directory went. Succeeds if none
  /// is held.
  [[nodiscard]] virtual IoResult<void> check_held_directory() = 0;
};

}  // namespace locker::persistence
