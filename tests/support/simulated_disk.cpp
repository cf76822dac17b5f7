#include "tests/support/simulated_disk.hpp"

#include <algorithm>
#include <cerrno>
#include <utility>

namespace locker::test {

using persistence::Access;
using persistence::IoError;
using persistence::IoResult;

namespace {

constexpr std::size_t sector = 512;

IoError error_of(int number, const std::string& what) {
  const boost::system::error_code code(number, boost::system::system_category());
  return {code, "cannot " + what + ": " + code.message()};
}

void write_into(std::string& content, std::uint64_t offset, std::string_view bytes) {
  if (content.size() < offset + bytes.size()) content.resize(offset + bytes.size(), '\0');
  content.replace(offset, bytes.size(), bytes);
}

}  // namespace

class SimulatedFile final : public persistence::File {
 public:
  SimulatedFile(SimulatedDisk& disk, std::shared_ptr<SimulatedDisk::Content> content)
      : disk_(disk), content_(std::move(content)) {}

  IoResult<void> write_at(std::uint64_t offset, std::string_view bytes) override {
    if (auto error = disk_.call("write")) return *error;
    const std::uint64_t size =
        std::max<std::uint64_t>(content_->seen.size(), offset + bytes.size());
    if (disk_.used() - content_->seen.size() + size > disk_.space_) {
      return error_of(ENOSPC, "write");
    }
    write_into(content_->seen, offset, bytes);
    content_->pending.push_back({offset, std::string(bytes)});
    return {};
  }
  IoResult<std::size_t> read_at(std::uint64_t offset, std::span<char> bytes) override {
    if (auto error = disk_.call("read")) return *error;
    if (offset >= content_->seen.size()) return std::size_t{0};
    return content_->seen.copy(bytes.data(), bytes.size(), offset);
  }
  IoResult<void> sync() override {
    if (auto error = disk_.call("sync")) {
      // As the kernel does it: the pages count as clean now, and are not on the disk. Not so when
      // the power is off: then what was written may still be somewhere.
      if (!disk_.is_off_) content_->pending.clear();
      return *error;
    }
    for (const auto& write : content_->pending) {
      write_into(content_->durable, write.offset, write.bytes);
    }
    content_->pending.clear();
    return {};
  }
  IoResult<void> allocate(std::uint64_t bytes) override {
    if (auto error = disk_.call("allocate")) return *error;
    if (disk_.used() - content_->seen.size() + bytes > disk_.space_) {
      return error_of(ENOSPC, "allocate");
    }
    return write_at(0, std::string(bytes, '\0'));
  }
  IoResult<std::uint64_t> size() const override { return content_->seen.size(); }

 private:
  SimulatedDisk& disk_;
  std::shared_ptr<SimulatedDisk::Content> content_;
};

namespace {

class SimulatedLock final : public persistence::FileLock {
 public:
  explicit SimulatedLock(std::shared_ptr<bool> is_locked) : is_locked_(std::move(is_locked)) {}
  ~SimulatedLock() override { *is_locked_ = false; }

 private:
  std::shared_ptr<bool> is_locked_;
};

}  // namespace

std::optional<IoError> SimulatedDisk::call(const std::string& what) {
  ++calls_;
  is_off_ = is_off_ || calls_ == cut_at_;
  if (is_off_) return error_of(EIO, what);
  if (fail_at_ != 0 && (calls_ == fail_at_ || (fails_for_ever_ && calls_ > fail_at_))) {
    failed_ = true;
    return error_of(error_, what);
  }
  return std::nullopt;
}

void SimulatedDisk::change(const std::string& path, std::shared_ptr<Content> content) {
  if (content == nullptr) {
    names_.erase(path);
  } else {
    names_[path] = content;
  }
  changes_.push_back({path, std::move(content)});
}

IoResult<std::unique_ptr<persistence::File>> SimulatedDisk::open(const std::string& path,
                                                                 Access access) {
  if (auto error = call("open " + path)) return *error;
  const auto found = names_.find(path);
  if (access == Access::create) {
    if (found != names_.end()) return error_of(EEXIST, "create " + path);
    auto content = std::make_shared<Content>();
    change(path, content);
    return std::make_unique<SimulatedFile>(*this, content);
  }
  if (found == names_.end()) return error_of(ENOENT, "open " + path);
  const std::shared_ptr<Content> content = found->second;
  if (access == Access::read) {
    // Reading syncs what is dirty, then goes to the disk.
    for (const Write& write : content->pending) {
      write_into(content->durable, write.offset, write.bytes);
    }
    content->pending.clear();
    content->seen = content->durable;
  }
  return std::make_unique<SimulatedFile>(*this, content);
}

IoResult<void> SimulatedDisk::rename(const std::string& from, const std::string& to) {
  if (auto error = call("rename " + from)) return *error;
  const auto found = names_.find(from);
  if (found == names_.end()) return error_of(ENOENT, "rename " + from);
  std::shared_ptr<Content> content = found->second;
  // One change and not two: a rename is atomic. The old name goes with the next change.
  names_.erase(from);
  names_[to] = content;
  changes_.push_back({to, content});
  changes_.push_back({from, nullptr});
  return {};
}

IoResult<void> SimulatedDisk::remove(const std::string& path) {
  if (auto error = call("remove " + path)) return *error;
  if (!names_.contains(path)) return error_of(ENOENT, "remove " + path);
  change(path, nullptr);
  return {};
}

IoResult<std::vector<std::string>> SimulatedDisk::list(const std::string& directory) {
  if (auto error = call("list " + directory)) return *error;
  if (names_.contains(directory)) return error_of(ENOTDIR, "list " + directory);
  if (!directories_.contains(directory)) return error_of(ENOENT, "list " + directory);
  std::vector<std::string> names;
  for (const auto& [path, content] : names_) {
    if (path.starts_with(directory + "/")) names.push_back(path.substr(directory.size() + 1));
  }
  return names;
}

IoResult<void> SimulatedDisk::make_directory(const std::string& path) {
  if (auto error = call("make " + path)) return *error;
  directories_.insert(path);
  return {};
}

IoResult<void> SimulatedDisk::sync_directory(const std::string& path) {
  if (auto error = call("sync the directory " + path)) return *error;
  changes_.clear();
  durable_names_ = names_;
  return {};
}

IoResult<std::unique_ptr<persistence::FileLock>> SimulatedDisk::lock(const std::string& path,
                                                                     bool create) {
  if (auto error = call("lock " + path)) return *error;
  auto found = names_.find(path);
  if (found == names_.end()) {
    if (!create) return error_of(ENOENT, "lock " + path);
    change(path, std::make_shared<Content>());
    found = names_.find(path);
  }
  Content& content = *found->second;
  if (content.is_locked) return error_of(EWOULDBLOCK, "lock " + path);
  content.is_locked = true;
  return std::make_unique<SimulatedLock>(
      std::shared_ptr<bool>(found->second, &found->second->is_locked));
}

IoResult<std::uint64_t> SimulatedDisk::free_space(const std::string& directory) {
  if (auto error = call("ask the space of " + directory)) return *error;
  return space_ - std::min(space_, used());
}

std::uint64_t SimulatedDisk::used() const {
  std::uint64_t bytes = 0;
  for (const auto& [path, content] : names_) bytes += content->seen.size();
  return bytes;
}

void SimulatedDisk::keep(Content& content, Survival survival, std::mt19937_64& random) {
  for (const Write& write : content.pending) {
    if (survival == Survival::nothing) break;
    for (std::size_t at = 0; at < write.bytes.size();) {
      // Sectors of the disk and not of the write.
      const std::size_t piece =
          std::min(sector - (write.offset + at) % sector, write.bytes.size() - at);
      if (survival == Survival::everything || random() % 2 == 0) {
        write_into(content.durable, write.offset + at, write.bytes.substr(at, piece));
      }
      at += piece;
    }
  }
  content.pending.clear();
  content.seen = content.durable;
  content.is_locked = false;
}

void SimulatedDisk::restart(Survival survival, std::mt19937_64& random) {
  std::size_t kept = 0;
  if (survival == Survival::everything) kept = changes_.size();
  if (survival == Survival::something && !changes_.empty()) kept = random() % (changes_.size() + 1);
  Names names = durable_names_;
  for (std::size_t i = 0; i < kept; ++i) {
    if (changes_[i].content == nullptr) {
      names.erase(changes_[i].path);
    } else {
      names[changes_[i].path] = changes_[i].content;
    }
  }
  names_ = durable_names_ = std::move(names);
  changes_.clear();
  for (const auto& [path, content] : names_) keep(*content, survival, random);
  cut_at_ = fail_at_ = 0;
  is_off_ = false;
  failed_ = false;
}

std::string& SimulatedDisk::bytes(const std::string& path) {
  Content& content = *names_.at(path);
  content.durable = content.seen;
  content.pending.clear();
  return content.durable;
}

std::vector<std::string> SimulatedDisk::paths() const {
  std::vector<std::string> paths;
  for (const auto& [path, content] : names_) paths.push_back(path);
  return paths;
}

void SimulatedDisk::erase(const std::string& path) {
  names_.erase(path);
  durable_names_ = names_;
}

}  // namespace locker::test
