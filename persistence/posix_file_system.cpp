#include "persistence/posix_file_system.hpp"

#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <cstdio>
#include <utility>

#include "core/assert.hpp"
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

/// Calls until no signal came between. Not for close(): on Linux the number is gone at once. A file
/// system that says EINTR again and again does not work, and is an error like any other: without a
/// bound the process would neither answer nor end.
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
      // A short write tells nothing but where to go on; the next try names the reason.
      bytes.remove_prefix(static_cast<std::size_t>(written));
      offset += static_cast<std::uint64_t>(written);
    }
    return {};
  }

  IoResult<std::size_t> read_at(std::uint64_t offset, std::span<char> bytes) override {
    LOCKER_ASSERT(offset % read_alignment == 0 && bytes.size() % read_alignment == 0);
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
      // An unaligned count is the end of the file; O_DIRECT could not go on from there anyway.
      if (count == 0 || total % read_alignment != 0) break;
    }
    return total;
  }

  IoResult<void> sync() override {
    // EINTR is no failure of the disk: nothing was reported and nothing was dropped.
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

Descriptor open_descriptor(const std::string& path, int flags) {
  return Descriptor(without_interruption(
      [&] { return ::open(path.c_str(), flags | O_CLOEXEC | O_NOFOLLOW, file_mode); }));
}

/// Leaves nothing in the cache that is not on the disk. Also needed where O_DIRECT works: a later
/// write to a part of a page would carry the rest of a stale one to the disk.
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

IoResult<std::unique_ptr<File>> open_for_reading(const std::string& path) {
  Descriptor cached = open_descriptor(path, O_RDONLY);
  if (cached.number() < 0) return last_error("open", path);
  if (auto dropped = drop_cache(cached.number(), path); !dropped) return dropped.error();
  Descriptor direct = open_descriptor(path, O_RDONLY | O_DIRECT);
  // Not every file system has O_DIRECT (tmpfs); the cache that was just dropped does as well.
  return std::make_unique<ReadAheadFile>(std::make_unique<PosixFile>(
      direct.number() >= 0 ? std::move(direct) : std::move(cached), path));
}

}  // namespace

IoResult<std::unique_ptr<File>> PosixFileSystem::open(const std::string& path, Access access) {
  if (access == Access::read) return open_for_reading(path);
  const int creation = access == Access::create ? O_CREAT | O_EXCL : 0;
  Descriptor descriptor = open_descriptor(path, O_RDWR | creation);
  if (descriptor.number() < 0) {
    return last_error(access == Access::create ? "create" : "open", path);
  }
  return std::make_unique<PosixFile>(std::move(descriptor), path);
}

IoResult<void> PosixFileSystem::rename(const std::string& from, const std::string& to) {
  if (std::rename(from.c_str(), to.c_str()) != 0) return last_error("rename", from);
  return {};
}

IoResult<void> PosixFileSystem::remove(const std::string& path) {
  if (::unlink(path.c_str()) != 0) return last_error("remove", path);
  return {};
}

IoResult<std::vector<std::string>> PosixFileSystem::list(const std::string& directory) {
  DIR* stream = ::opendir(directory.c_str());
  if (stream == nullptr) return last_error("list", directory);
  std::vector<std::string> names;
  errno = 0;
  while (const dirent* entry = ::readdir(stream)) {
    std::string name = entry->d_name;
    if (name != "." && name != "..") names.push_back(std::move(name));
    errno = 0;
  }
  // The end and an error both give null; only errno tells them apart.
  if (errno != 0) {
    IoError error = last_error("list", directory);
    ::closedir(stream);
    return error;
  }
  ::closedir(stream);
  return names;
}

IoResult<void> PosixFileSystem::make_directory(const std::string& path) {
  if (::mkdir(path.c_str(), directory_mode) != 0) return last_error("create the directory", path);
  return {};
}

IoResult<void> PosixFileSystem::sync_directory(const std::string& path) {
  const Descriptor descriptor(::open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (descriptor.number() < 0) return last_error("open the directory", path);
  if (without_interruption([&] { return ::fsync(descriptor.number()); }) != 0) {
    return last_error("sync the directory", path);
  }
  return {};
}

IoResult<std::unique_ptr<FileLock>> PosixFileSystem::lock(const std::string& path,
                                                          Locking locking) {
  const bool is_reader = locking == Locking::reader;
  const int creation = locking == Locking::create ? O_CREAT : 0;
  Descriptor descriptor = open_descriptor(path, (is_reader ? O_RDONLY : O_RDWR) | creation);
  if (descriptor.number() < 0) return last_error("open", path);
  struct flock whole_file {};
  whole_file.l_type = is_reader ? F_RDLCK : F_WRLCK;
  whole_file.l_whence = SEEK_SET;
  if (::fcntl(descriptor.number(), F_OFD_SETLK, &whole_file) != 0) {
    if (errno == EACCES) errno = EWOULDBLOCK;  // POSIX lets a system say either
    return last_error("lock", path);
  }
  return std::make_unique<PosixLock>(std::move(descriptor));
}

IoResult<std::uint64_t> PosixFileSystem::free_space(const std::string& directory) {
  struct statvfs status {};
  if (::statvfs(directory.c_str(), &status) != 0) {
    return last_error("ask the free space of", directory);
  }
  return static_cast<std::uint64_t>(status.f_bavail) * status.f_frsize;
}

}  // namespace locker::persistence
