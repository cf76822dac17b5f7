#include "persistence/posix_file_system.hpp"

#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <cerrno>
#include <filesystem>
#include <system_error>
#include <utility>

#include "core/assert.hpp"
#include "persistence/aligned_bytes.hpp"
#include "persistence/read_ahead_file.hpp"

namespace locker::persistence {
namespace {

constexpr mode_t file_mode = 0600;
constexpr mode_t directory_mode = 0700;

/// REQUIRES: called right after the call that failed, before anything else can set errno.
IoError last_error(const char* what, const std::string& path) {
  const boost::system::error_code code(errno, boost::system::system_category());
  return {code, std::string("cannot ") + what + " " + path + ": " + code.message()};
}

/// Repeats a call that a signal interrupted. Not for close(): on Linux the descriptor is released
/// even then. A file system that keeps returning EINTR does not work, and is an error like any
/// other: without a bound the process would neither answer nor end.
template <typename Call>
auto without_interruption(Call call) {
  constexpr int interruptions_max = 1000;
  for (int interruptions = 0;; ++interruptions) {
    const auto result = call();
    if (result >= 0 || errno != EINTR || interruptions == interruptions_max) return result;
  }
}

class Descriptor {
 public:
  explicit Descriptor(int number) : number_(number) {}
  Descriptor(Descriptor&& other) noexcept : number_(std::exchange(other.number_, -1)) {}
  Descriptor& operator=(Descriptor&&) = delete;
  ~Descriptor() {
    if (number_ >= 0) ::close(number_);
  }
  [[nodiscard]] int number() const { return number_; }

 private:
  int number_;
};

/// Whether the disk accepts blocks of direct_alignment for I/O that bypasses the page cache; some
/// require larger ones. Any other error is left for the caller's own reads to report.
bool accepts_blocks(int descriptor) {
  AlignedBytes block{direct_alignment};
  const ssize_t count = without_interruption(
      [&] { return ::pread(descriptor, block.span().data(), direct_alignment, 0); });
  return count >= 0 || errno != EINVAL;
}

class PosixFile final : public File {
 public:
  PosixFile(Descriptor descriptor, std::string path)
      : descriptor_(std::move(descriptor)), path_(std::move(path)) {}

  IoResult<void> write_at(std::uint64_t offset, std::string_view bytes) override {
    while (!bytes.empty()) {
      const ssize_t written = without_interruption([&] {
        return ::pwrite(descriptor_.number(), bytes.data(), bytes.size(),
                        static_cast<off_t>(offset));
      });
      if (written < 0) return last_error("write", path_);
      // A short write says only where to continue; the next attempt reports the reason, or EINVAL
      // if it bypasses the cache and the rest does not begin with a block.
      bytes.remove_prefix(static_cast<std::size_t>(written));
      offset += static_cast<std::uint64_t>(written);
    }
    return {};
  }

  IoResult<std::size_t> read_at(std::uint64_t offset, std::span<char> bytes) override {
    LOCKER_ASSERT(offset % direct_alignment == 0 && bytes.size() % direct_alignment == 0);
    std::size_t total = 0;
    while (total < bytes.size()) {
      const ssize_t count = without_interruption([&] {
        return ::pread(descriptor_.number(), bytes.data() + total, bytes.size() - total,
                       static_cast<off_t>(offset + total));
      });
      if (count < 0) {
        IoError error = last_error("read", path_);
        error.of_reading = true;
        return error;
      }
      total += static_cast<std::size_t>(count);
      // An unaligned count means the end of the file; O_DIRECT could not continue from there
      // anyway.
      if (count == 0 || total % direct_alignment != 0) break;
    }
    return total;
  }

  IoResult<void> sync() override {
    // EINTR is not a disk failure: nothing was reported and nothing was dropped.
    if (without_interruption([&] { return ::fdatasync(descriptor_.number()); }) != 0) {
      return last_error("sync", path_);
    }
    return {};
  }

  IoResult<void> allocate(std::uint64_t bytes) override {
    const int result = without_interruption(
        [&] { return ::fallocate(descriptor_.number(), 0, 0, static_cast<off_t>(bytes)); });
    if (result != 0 && errno != EOPNOTSUPP && errno != ENOSYS) return last_error("allocate", path_);
    return {};
  }

  IoResult<std::uint64_t> size() const override {
    struct stat status {};
    if (::fstat(descriptor_.number(), &status) != 0) return last_error("read", path_);
    return static_cast<std::uint64_t>(status.st_size);
  }

  bool bypass_cache() override {
    const int flags = ::fcntl(descriptor_.number(), F_GETFL);
    if (flags < 0 || ::fcntl(descriptor_.number(), F_SETFL, flags | O_DIRECT) != 0) return false;
    if (accepts_blocks(descriptor_.number())) return true;
    ::fcntl(descriptor_.number(), F_SETFL, flags);
    return false;
  }

 private:
  Descriptor descriptor_;
  std::string path_;
};

class PosixLock final : public FileLock {
 public:
  explicit PosixLock(Descriptor descriptor) : descriptor_(std::move(descriptor)) {}

 private:
  Descriptor descriptor_;
};

Descriptor open_descriptor(int directory, const char* path, int flags) {
  return Descriptor(without_interruption(
      [&] { return ::openat(directory, path, flags | O_CLOEXEC | O_NOFOLLOW, file_mode); }));
}

/// Drops from the cache everything that may not be on the disk. Needed even if O_DIRECT works: a
/// later write to part of a page would carry the rest of a stale page to the disk.
IoResult<void> drop_cache(int descriptor, const std::string& path) {
  if (without_interruption([&] { return ::fdatasync(descriptor); }) != 0) {
    return last_error("sync", path);
  }
  const int error = ::posix_fadvise(descriptor, 0, 0, POSIX_FADV_DONTNEED);
  if (error != 0) {
    errno = error;
    return last_error("drop the cache of", path);
  }
  return {};
}

IoResult<std::unique_ptr<File>> open_for_reading(int directory, const char* name,
                                                 const std::string& path) {
  Descriptor cached = open_descriptor(directory, name, O_RDONLY);
  if (cached.number() < 0) return last_error("open", path);
  if (auto dropped = drop_cache(cached.number(), path); !dropped) return dropped.error();
  Descriptor direct = open_descriptor(directory, name, O_RDONLY | O_DIRECT);
  // Not every file system has O_DIRECT (tmpfs does not); a read after the cache was dropped serves
  // as well.
  const bool is_direct = direct.number() >= 0 && accepts_blocks(direct.number());
  return std::make_unique<ReadAheadFile>(
      std::make_unique<PosixFile>(is_direct ? std::move(direct) : std::move(cached), path));
}

bool names_same(const std::string& path, const struct stat& wanted) {
  struct stat named {};
  return ::stat(path.c_str(), &named) == 0 && named.st_dev == wanted.st_dev &&
         named.st_ino == wanted.st_ino;
}

/// Returns a sentence about a directory that `path` does not name any more.
std::string describe_loss(const std::string& path, int descriptor, const struct stat& status) {
  if (status.st_nlink == 0) {
    return "the store's directory " + path +
           " was removed while it was open, and everything that was acknowledged with it: restore "
           "a backup";
  }
  std::error_code unknown;
  const std::string now =
      std::filesystem::read_symlink("/proc/self/fd/" + std::to_string(descriptor), unknown)
          .string();
  const std::string told = path + " no longer names the directory of the open store";
  if (unknown || !names_same(now, status)) {
    return told +
           ": that directory was moved, or something was mounted over it. It contains everything "
           "that was acknowledged; put it back before the next start";
  }
  return told + ": that directory is now " + now +
         ". It contains everything that was acknowledged; put it back before the next start";
}

}  // namespace

struct PosixFileSystem::HeldDirectory {
  Descriptor descriptor;
  std::string name;  // the prefix of paths
  std::string path;  // independent of the working directory
};

/// Arguments for the system calls that end in "at".
struct PosixFileSystem::Place {
  int directory = AT_FDCWD;
  const char* path = "";
};

PosixFileSystem::PosixFileSystem() = default;
PosixFileSystem::~PosixFileSystem() = default;

PosixFileSystem::Place PosixFileSystem::place_of(const std::string& path) const {
  if (held_ == nullptr || !path.starts_with(held_->name)) return {AT_FDCWD, path.c_str()};
  const std::size_t length = held_->name.size();
  if (path.size() > length && path[length] != '/') return {AT_FDCWD, path.c_str()};
  const std::size_t rest = path.find_first_not_of('/', length);
  return {held_->descriptor.number(), rest == std::string::npos ? "." : path.c_str() + rest};
}

IoResult<void> PosixFileSystem::hold_directory(const std::string& path) {
  held_.reset();
  Descriptor descriptor(::open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (descriptor.number() < 0) return last_error("open the directory", path);
  struct stat status {};
  if (::fstat(descriptor.number(), &status) != 0) return last_error("look at", path);
  std::error_code unknown;
  std::string absolute = std::filesystem::absolute(path, unknown).string();
  // A process may use its working directory and still lack the right to look it up from the root.
  if (unknown || !names_same(absolute, status)) absolute = path;
  held_ = std::make_unique<const HeldDirectory>(
      HeldDirectory{std::move(descriptor), path, std::move(absolute)});
  return {};
}

IoResult<void> PosixFileSystem::check_held_directory() {
  if (held_ == nullptr) return {};
  struct stat status {};
  if (::fstat(held_->descriptor.number(), &status) != 0) return last_error("look at", held_->path);
  errno = 0;
  if (names_same(held_->path, status)) return {};
  // Any other error says nothing about the name.
  if (errno != 0 && errno != ENOENT && errno != ENOTDIR) return {};
  return IoError{boost::system::error_code(ESTALE, boost::system::system_category()),
                 describe_loss(held_->path, held_->descriptor.number(), status)};
}

IoResult<std::unique_ptr<File>> PosixFileSystem::open(const std::string& path, Access access) {
  const Place place = place_of(path);
  if (access == Access::read) return open_for_reading(place.directory, place.path, path);
  const int creation = access == Access::create ? O_CREAT | O_EXCL : 0;
  Descriptor descriptor = open_descriptor(place.directory, place.path, O_RDWR | creation);
  if (descriptor.number() < 0) {
    return last_error(access == Access::create ? "create" : "open", path);
  }
  return std::make_unique<PosixFile>(std::move(descriptor), path);
}

IoResult<void> PosixFileSystem::rename(const std::string& from, const std::string& to) {
  const Place old_place = place_of(from);
  const Place new_place = place_of(to);
  if (::renameat(old_place.directory, old_place.path, new_place.directory, new_place.path) != 0) {
    return last_error("rename", from);
  }
  return {};
}

IoResult<void> PosixFileSystem::remove(const std::string& path) {
  const Place place = place_of(path);
  if (::unlinkat(place.directory, place.path, 0) != 0) return last_error("remove", path);
  return {};
}

IoResult<std::vector<std::string>> PosixFileSystem::list(const std::string& directory) {
  const Place place = place_of(directory);
  const int descriptor = ::openat(place.directory, place.path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (descriptor < 0) return last_error("list", directory);
  DIR* stream = ::fdopendir(descriptor);
  if (stream == nullptr) {
    IoError error = last_error("list", directory);
    ::close(descriptor);
    return error;
  }
  std::vector<std::string> names;
  errno = 0;
  while (const dirent* entry = ::readdir(stream)) {
    std::string name = entry->d_name;
    if (name != "." && name != "..") names.push_back(std::move(name));
    errno = 0;
  }
  // Both the end and an error return null; only errno distinguishes them.
  if (errno != 0) {
    IoError error = last_error("list", directory);
    ::closedir(stream);
    return error;
  }
  ::closedir(stream);
  return names;
}

IoResult<void> PosixFileSystem::make_directory(const std::string& path) {
  const Place place = place_of(path);
  if (::mkdirat(place.directory, place.path, directory_mode) != 0) {
    return last_error("create the directory", path);
  }
  return {};
}

IoResult<void> PosixFileSystem::sync_directory(const std::string& path) {
  const Place place = place_of(path);
  const auto sync = [&](int descriptor) -> IoResult<void> {
    if (without_interruption([&] { return ::fsync(descriptor); }) == 0) return {};
    return last_error("sync the directory", path);
  };
  // Names must become durable even if no file descriptor is left.
  if (place.directory != AT_FDCWD && place.path == std::string_view(".")) {
    return sync(place.directory);
  }
  const Descriptor descriptor(
      ::openat(place.directory, place.path, O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (descriptor.number() < 0) return last_error("open the directory", path);
  return sync(descriptor.number());
}

IoResult<std::unique_ptr<FileLock>> PosixFileSystem::lock(const std::string& path,
                                                          Locking locking) {
  const bool is_reader = locking == Locking::reader;
  const int creation = locking == Locking::create ? O_CREAT : 0;
  const Place place = place_of(path);
  Descriptor descriptor =
      open_descriptor(place.directory, place.path, (is_reader ? O_RDONLY : O_RDWR) | creation);
  if (descriptor.number() < 0) return last_error("open", path);
  struct flock whole_file {};
  whole_file.l_type = is_reader ? F_RDLCK : F_WRLCK;
  whole_file.l_whence = SEEK_SET;
  if (::fcntl(descriptor.number(), F_OFD_SETLK, &whole_file) != 0) {
    if (errno == EACCES) errno = EWOULDBLOCK;  // POSIX permits either
    return last_error("lock", path);
  }
  return std::make_unique<PosixLock>(std::move(descriptor));
}

IoResult<std::uint64_t> PosixFileSystem::free_space(const std::string& directory) {
  const Place place = place_of(directory);
  struct statvfs status {};
  const int result = place.directory == AT_FDCWD ? ::statvfs(place.path, &status)
                                                 : ::fstatvfs(place.directory, &status);
  if (result != 0) {
    return last_error("get the free space of", directory);
  }
  return static_cast<std::uint64_t>(status.f_bavail) * status.f_frsize;
}

}  // namespace locker::persistence
