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

/// What the operating system said, and of which file.
struct IoError {
  boost::system::error_code code;
  std::string message;      ///< A sentence with the path and the system's own words.
  bool of_reading = false;  ///< The disk does not give back a part of a file that is open.
};

template <typename T>
using IoResult = boost::system::result<T, IoError>;

/// The disk, or the user's share of it, is full, or a file may not be so large (ulimit -f).
[[nodiscard]] inline bool is_full_disk(const IoError& error) {
  const int code = error.code.value();
  return code == ENOSPC || code == EDQUOT || code == EFBIG;
}

/// No file can be opened for the moment. Nothing is wrong with the disk, and nothing was done.
[[nodiscard]] inline bool is_short_of_descriptors(const boost::system::error_code& code) {
  return code.value() == EMFILE || code.value() == ENFILE;
}

/// Offset, length and address of what goes around the page cache are multiples of this: what
/// O_DIRECT asks for.
inline constexpr std::size_t direct_alignment = 4096;

/// An open file. Writes and syncs of one file may come from two threads at the same time.
class File {
 public:
  virtual ~File() = default;

  /// Writes all of the bytes; nothing is durable before sync(). After an error any part of them may
  /// be written.
  [[nodiscard]] virtual IoResult<void> write_at(std::uint64_t offset, std::string_view bytes) = 0;

  /// Reads from the disk, around the page cache: after a failed sync the cache can show what the
  /// disk does not have. Returns how many bytes there were, fewer than asked only at the end of
  /// the file. REQUIRES: opened with Access::read, or bypass_cache() was true; all is a multiple of
  /// direct_alignment.
  [[nodiscard]] virtual IoResult<std::size_t> read_at(std::uint64_t offset,
                                                      std::span<char> bytes) = 0;

  /// All that was written before, and the file's size, is durable on return. After an error it is
  /// unknown what is, and a second try proves nothing: the kernel may have dropped the bytes.
  [[nodiscard]] virtual IoResult<void> sync() = 0;

  /// Sets this much aside on the disk, as zeros, so that a full disk is met here and not later.
  /// Succeeds without effect where the file system has no such call.
  [[nodiscard]] virtual IoResult<void> allocate(std::uint64_t bytes) = 0;

  [[nodiscard]] virtual IoResult<std::uint64_t> size() const = 0;

  /// From now on writes and reads go around the page cache, and are multiples of direct_alignment.
  /// False: that is not possible here, and nothing has changed. REQUIRES: opened for writing.
  [[nodiscard]] virtual bool bypass_cache() { return false; }
};

/// How a file is opened. New files are for their owner alone (0600).
enum class Access {
  create,  ///< For writing; it is an error when the file exists.
  write,   ///< For writing; it must exist.
  read,    ///< For reading around the cache; it must exist. Syncs what was written before.
};

/// For whom a file is locked.
enum class Locking {
  create,  ///< For this owner alone; the file is made if it is not there.
  owner,   ///< The same; it must exist.
  reader,  ///< Against owners, and beside other readers; it must exist. Needs no right to write.
};

/// Holds a file's lock until it goes; the kernel lets go when the process ends, however it ends.
class FileLock {
 public:
  virtual ~FileLock() = default;
};

/// The one seam to the kernel, so that a simulated disk can lose, tear and fail. Cut to what the
/// journal needs. Thread-safe, but for hold_directory(). Paths are passed to the system as they
/// are, but for those of a held directory.
class FileSystem {
 public:
  virtual ~FileSystem() = default;

  [[nodiscard]] virtual IoResult<std::unique_ptr<File>> open(const std::string& path,
                                                             Access access) = 0;
  /// Replaces `to` if it is there. Atomic; durable only after sync_directory().
  [[nodiscard]] virtual IoResult<void> rename(const std::string& from, const std::string& to) = 0;
  /// Durable only after sync_directory().
  [[nodiscard]] virtual IoResult<void> remove(const std::string& path) = 0;
  /// The names in a directory, without "." and "..", in no order. ENOTDIR when it is a file.
  [[nodiscard]] virtual IoResult<std::vector<std::string>> list(const std::string& directory) = 0;
  /// Makes one directory (0700); its parent must exist.
  [[nodiscard]] virtual IoResult<void> make_directory(const std::string& path) = 0;
  /// What was created, renamed and removed in the directory is durable on return.
  [[nodiscard]] virtual IoResult<void> sync_directory(const std::string& path) = 0;
  /// Locks a file and never waits: EWOULDBLOCK when another one holds a lock that excludes this.
  [[nodiscard]] virtual IoResult<std::unique_ptr<FileLock>> lock(const std::string& path,
                                                                 Locking locking) = 0;
  /// Bytes that this user can still write on the disk of the directory.
  [[nodiscard]] virtual IoResult<std::uint64_t> free_space(const std::string& directory) = 0;

  /// From now on this path, and every one that begins with it and a slash, means the directory that
  /// it names now: wherever that is moved, whatever gets its name, and from any working directory.
  /// Takes the place of one that was held before. REQUIRES: no other call is under way.
  [[nodiscard]] virtual IoResult<void> hold_directory(const std::string& path) = 0;
  /// An error when the path does not name the held directory any more: a start would not find what
  /// is written now. Its message says where it went. Nothing is wrong when none is held.
  [[nodiscard]] virtual IoResult<void> check_held_directory() = 0;
};

}  // namespace locker::persistence
