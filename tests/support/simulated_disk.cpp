#include "tests/support/simulated_disk.hpp"

#include <algorithm>
#include <cerrno>
#include <cstdint>
#include <utility>

#include "core/assert.hpp"

namespace locker::test {

using persistence::Access;
using persistence::IoError;
using persistence::IoResult;
using persistence::Locking;

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

std::string parent_of(const std::string& path) {
  const std::size_t slash = path.rfind('/');
  return slash == std::string::npos ? "." : path.substr(0, slash);
}

}  // namespace

class SimulatedFile final : public persistence::File {
 public:
  SimulatedFile(SimulatedDisk& disk, std::shared_ptr<SimulatedDisk::Content> content,
                std::string path, bool is_direct)
      : disk_(disk), content_(std::move(content)), path_(std::move(path)), is_direct_(is_direct) {}

  IoResult<void> write_at(std::uint64_t offset, std::string_view bytes) override {
    LOCKER_ASSERT(!bypasses_cache_ || is_aligned(offset, bytes));
    if (auto error = disk_.call("write " + path_)) {
      if (!disk_.is_off_) put(offset, bytes.substr(0, bytes.size() / 2));
      return *error;
    }
    if (!fits(offset + bytes.size())) return error_of(ENOSPC, "write " + path_);
    put(offset, bytes);
    content_->unsynced += bytes.size();
    disk_.most_unsynced_ = std::max(disk_.most_unsynced_, content_->unsynced);
    return {};
  }
  IoResult<std::size_t> read_at(std::uint64_t offset, std::span<char> bytes) override {
    LOCKER_ASSERT(is_aligned(offset, {bytes.data(), bytes.size()}));
    if (auto error = disk_.call("read " + path_)) {
      error->of_reading = true;
      return *error;
    }
    disk_.largest_read_ = std::max(disk_.largest_read_, bytes.size());
    const std::string& source = is_direct_ ? content_->durable : content_->seen;
    const std::uint64_t end = std::min<std::uint64_t>(source.size(), disk_.readable_);
    if (offset >= end) return std::size_t{0};
    return source.copy(bytes.data(), std::min<std::uint64_t>(bytes.size(), end - offset), offset);
  }
  IoResult<void> sync() override { return disk_.sync(*content_, "sync " + path_); }
  IoResult<void> allocate(std::uint64_t bytes) override {
    if (auto error = disk_.call("allocate " + path_)) return *error;
    if (!fits(bytes)) return error_of(ENOSPC, "allocate " + path_);
    const std::uint64_t size = content_->seen.size();
    if (bytes > size) put(size, std::string(bytes - size, '\0'));
    return {};
  }
  IoResult<std::uint64_t> size() const override {
    if (auto error = disk_.call("ask the size of " + path_)) return *error;
    return content_->seen.size();
  }
  bool bypass_cache() override { return bypasses_cache_ = true; }

 private:
  static bool is_aligned(std::uint64_t offset, std::string_view bytes) {
    const auto address = reinterpret_cast<std::uintptr_t>(bytes.data());
    return (offset | bytes.size() | address) % persistence::direct_alignment == 0;
  }
  [[nodiscard]] bool fits(std::uint64_t end) const {
    const std::uint64_t size = content_->seen.size();
    return end <= size || disk_.used() - size + end <= disk_.space_;
  }
  void put(std::uint64_t offset, std::string_view bytes) {
    write_into(content_->seen, offset, bytes);
    content_->pending.push_back({offset, std::string(bytes)});
  }

  SimulatedDisk& disk_;
  std::shared_ptr<SimulatedDisk::Content> content_;
  std::string path_;
  bool is_direct_;
  bool bypasses_cache_ = false;
};

namespace {

/// Held for as long as this object exists.
class SimulatedLock final : public persistence::FileLock {
 public:
  explicit SimulatedLock(std::shared_ptr<int> holder) : holder_(std::move(holder)) {}

 private:
  std::shared_ptr<int> holder_;
};

}  // namespace

SimulatedDisk::SimulatedDisk(const SimulatedDisk& other) { *this = other; }

SimulatedDisk& SimulatedDisk::operator=(const SimulatedDisk& other) {
  if (this == &other) return *this;
  std::map<const Content*, ContentPointer> copies;
  const auto copy = [&](const ContentPointer& content) -> ContentPointer {
    if (content == nullptr) return nullptr;
    ContentPointer& mine = copies[content.get()];
    if (mine == nullptr) {
      mine = std::make_shared<Content>(*content);
      mine->holder = mine->readers = nullptr;
    }
    return mine;
  };
  names_.clear();
  for (const auto& [path, content] : other.names_) names_[path] = copy(content);
  durable_names_.clear();
  for (const auto& [path, content] : other.durable_names_) durable_names_[path] = copy(content);
  changes_.clear();
  for (const auto& each : other.changes_) {
    changes_.push_back({each.path, copy(each.content), each.from});
  }
  held_name_ = held_place_ = "";
  directories_ = other.directories_;
  durable_directories_ = other.durable_directories_;
  calls_ = other.calls_;
  cut_at_ = other.cut_at_;
  is_off_ = other.is_off_;
  is_read_only_ = other.is_read_only_;
  fail_at_ = other.fail_at_;
  fail_next_ = other.fail_next_;
  error_ = other.error_;
  fails_for_ever_ = other.fails_for_ever_;
  failed_ = other.failed_;
  struck_call_ = other.struck_call_;
  space_ = other.space_;
  readable_ = other.readable_;
  return *this;
}

std::optional<IoError> SimulatedDisk::call(const std::string& what) {
  ++calls_;
  if (calls_ == cut_at_) {
    is_off_ = true;
    struck_call_ = what;
  }
  if (is_off_) return error_of(EIO, what);
  const bool is_next = !fail_next_.empty() && what.starts_with(fail_next_);
  if (is_next ||
      (fail_at_ != 0 && (calls_ == fail_at_ || (fails_for_ever_ && calls_ > fail_at_)))) {
    if (!failed_) struck_call_ = what;
    failed_ = true;
    if (is_next) fail_next_.clear();
    return error_of(error_, what);
  }
  return std::nullopt;
}

std::optional<IoError> SimulatedDisk::writing_call(const std::string& what) {
  if (auto error = call(what)) return error;
  if (is_read_only_) return error_of(EROFS, what);
  return std::nullopt;
}

IoResult<void> SimulatedDisk::sync(Content& content, const std::string& what) {
  if (auto error = call(what)) {
    // As the kernel does it: the pages then count as clean, and are not on the disk. Not so if the
    // power is off: then what was written may still be somewhere.
    if (!is_off_) content.pending.clear();
    return *error;
  }
  for (const Write& write : content.pending) {
    write_into(content.durable, write.offset, write.bytes);
  }
  content.pending.clear();
  content.unsynced = 0;
  return {};
}

void SimulatedDisk::apply(const NameChange& change, Names& names) {
  if (!change.from.empty()) names.erase(change.from);
  if (change.content == nullptr) {
    names.erase(change.path);
  } else {
    names[change.path] = change.content;
  }
}

void SimulatedDisk::change(NameChange change) {
  apply(change, names_);
  changes_.push_back(std::move(change));
}

IoResult<std::unique_ptr<persistence::File>> SimulatedDisk::open(const std::string& path,
                                                                 Access access) {
  if (auto error = access == Access::read ? call("open " + path) : writing_call("open " + path)) {
    return *error;
  }
  const std::string place = place_of(path);
  const auto found = names_.find(place);
  if (access == Access::create) {
    if (found != names_.end()) return error_of(EEXIST, "create " + path);
    if (!directories_.contains(parent_of(place))) return error_of(ENOENT, "create " + path);
    auto content = std::make_shared<Content>();
    change({place, content, {}});
    return std::make_unique<SimulatedFile>(*this, content, path, false);
  }
  if (found == names_.end()) return error_of(ENOENT, "open " + path);
  const ContentPointer content = found->second;
  if (access == Access::read) {
    // Reading syncs what is dirty, drops the cache, and goes to the disk.
    if (!content->pending.empty()) {
      if (auto synced = sync(*content, "sync for reading " + path); !synced) return synced.error();
    }
    content->durable.resize(content->seen.size(), '\0');  // the size was metadata, and not lost
    content->seen = content->durable;
  }
  return std::make_unique<SimulatedFile>(*this, content, path, access == Access::read);
}

IoResult<void> SimulatedDisk::rename(const std::string& from, const std::string& to) {
  if (auto error = writing_call("rename " + from)) return *error;
  const std::string place = place_of(from);
  const auto found = names_.find(place);
  if (found == names_.end()) return error_of(ENOENT, "rename " + from);
  const ContentPointer content = found->second;
  change({place_of(to), content, place});
  return {};
}

IoResult<void> SimulatedDisk::remove(const std::string& path) {
  if (auto error = writing_call("remove " + path)) return *error;
  const std::string place = place_of(path);
  if (!names_.contains(place)) return error_of(ENOENT, "remove " + path);
  change({place, nullptr, {}});
  return {};
}

IoResult<std::vector<std::string>> SimulatedDisk::list(const std::string& directory) {
  if (auto error = call("list " + directory)) return *error;
  const std::string place = place_of(directory);
  if (names_.contains(place)) return error_of(ENOTDIR, "list " + directory);
  if (!directories_.contains(place)) return error_of(ENOENT, "list " + directory);
  std::vector<std::string> names;
  for (const auto& [path, content] : names_) {
    if (parent_of(path) == place) names.push_back(path.substr(path.rfind('/') + 1));
  }
  for (const std::string& each : directories_) {
    if (each != place && parent_of(each) == place) {
      names.push_back(each.substr(each.rfind('/') + 1));
    }
  }
  return names;
}

IoResult<void> SimulatedDisk::make_directory(const std::string& path) {
  if (auto error = writing_call("make " + path)) return *error;
  if (names_.contains(path) || directories_.contains(path)) return error_of(EEXIST, "make " + path);
  if (!directories_.contains(parent_of(path))) return error_of(ENOENT, "make " + path);
  directories_.insert(path);
  return {};
}

IoResult<void> SimulatedDisk::sync_directory(const std::string& path) {
  if (auto error = call("sync the directory " + path)) return *error;
  if (path.ends_with("/..")) return sync_directory(parent_of(path.substr(0, path.size() - 3)));
  const std::string place = place_of(path);
  if (!directories_.contains(place)) return error_of(ENOENT, "sync the directory " + path);
  std::vector<NameChange> others;
  for (NameChange& change : changes_) {
    if (parent_of(change.path) == place) {
      apply(change, durable_names_);
    } else {
      others.push_back(std::move(change));
    }
  }
  changes_ = std::move(others);
  for (const std::string& each : directories_) {
    if (parent_of(each) == place) durable_directories_.insert(each);
  }
  return {};
}

IoResult<std::unique_ptr<persistence::FileLock>> SimulatedDisk::lock(const std::string& path,
                                                                     Locking locking) {
  const bool is_reader = locking == Locking::reader;
  if (auto error = is_reader ? call("lock " + path) : writing_call("lock " + path)) return *error;
  const std::string place = place_of(path);
  if (!names_.contains(place)) {
    if (locking != Locking::create || !directories_.contains(parent_of(place))) {
      return error_of(ENOENT, "lock " + path);
    }
    change({place, std::make_shared<Content>(), {}});
  }
  Content& content = *names_.at(place);
  if (content.holder.use_count() > 1 || (!is_reader && content.readers.use_count() > 1)) {
    return error_of(EWOULDBLOCK, "lock " + path);
  }
  std::shared_ptr<int>& holder = is_reader ? content.readers : content.holder;
  if (holder == nullptr) holder = std::make_shared<int>();
  return std::make_unique<SimulatedLock>(holder);
}

IoResult<std::uint64_t> SimulatedDisk::free_space(const std::string& directory) {
  if (auto error = call("ask the space of " + directory)) return *error;
  if (looks_until_ != 0 && --looks_until_ == 0) space_ = later_space_;
  return space_ - std::min(space_, used());
}

IoResult<void> SimulatedDisk::hold_directory(const std::string& path) {
  if (!directories_.contains(path)) return error_of(ENOENT, "open the directory " + path);
  held_name_ = held_place_ = path;
  return {};
}

IoResult<void> SimulatedDisk::check_held_directory() {
  if (held_place_ == held_name_) return {};
  return error_of(ESTALE, "find " + held_name_ + ", which is " + held_place_);
}

std::string SimulatedDisk::place_of(const std::string& path) const {
  if (held_name_.empty() || !path.starts_with(held_name_)) return path;
  const std::string rest = path.substr(held_name_.size());
  return rest.empty() || rest.front() == '/' ? held_place_ + rest : path;
}

std::uint64_t SimulatedDisk::used() const {
  std::uint64_t bytes = 0;
  for (const auto& [path, content] : names_) bytes += content->seen.size();
  return bytes;
}

void SimulatedDisk::keep(Content& content, Survival survival, std::mt19937_64& random) {
  std::uint64_t sectors = 0;
  for (const Write& write : content.pending) sectors += 1 + write.bytes.size() / sector;
  std::uint64_t left = survival == Survival::beginning ? random() % (sectors + 1) : sectors;
  for (const Write& write : content.pending) {
    if (survival == Survival::nothing) break;
    for (std::size_t at = 0; at < write.bytes.size();) {
      // Sectors of the disk, not of the write.
      const std::size_t piece =
          std::min(sector - (write.offset + at) % sector, write.bytes.size() - at);
      const bool is_kept = survival == Survival::something   ? random() % 2 == 0
                           : survival == Survival::beginning ? left > 0
                                                             : true;
      if (is_kept) {
        write_into(content.durable, write.offset + at,
                   std::string_view(write.bytes).substr(at, piece));
      }
      if (left > 0) --left;
      at += piece;
    }
  }
  content.pending.clear();
  content.seen = content.durable;
}

void SimulatedDisk::restart(Survival survival, std::mt19937_64& random) {
  const std::size_t beginning = changes_.empty() ? 0 : random() % (changes_.size() + 1);
  Names names = durable_names_;
  for (std::size_t i = 0; i < changes_.size(); ++i) {
    const bool is_kept = survival == Survival::everything ||
                         (survival == Survival::something && random() % 2 == 0) ||
                         (survival == Survival::beginning && i < beginning);
    if (is_kept) apply(changes_[i], names);
  }
  if (survival == Survival::everything || (survival != Survival::nothing && random() % 2 == 0)) {
    durable_directories_ = directories_;
  }
  directories_ = durable_directories_;
  std::erase_if(names,
                [&](const auto& name) { return !directories_.contains(parent_of(name.first)); });
  names_ = durable_names_ = std::move(names);
  changes_.clear();
  for (const auto& [path, content] : names_) keep(*content, survival, random);
  heal();
}

void SimulatedDisk::restart_process() { heal(); }

void SimulatedDisk::heal() {
  for (const auto& [path, content] : names_) content->holder = content->readers = nullptr;
  held_name_ = held_place_ = "";
  cut_at_ = fail_at_ = 0;
  fail_next_.clear();
  is_off_ = false;
  failed_ = false;
  struck_call_.clear();
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
  durable_names_.erase(path);
}

void SimulatedDisk::put(const std::string& path, std::string bytes) {
  auto content = std::make_shared<Content>();
  content->seen = content->durable = std::move(bytes);
  names_[path] = durable_names_[path] = std::move(content);
}

void SimulatedDisk::move(const std::string& from, const std::string& to) {
  names_[to] = durable_names_[to] = names_.at(from);
  erase(from);
}

void SimulatedDisk::move_directory(const std::string& from, const std::string& to) {
  const auto moved = [&](const std::string& path) {
    return parent_of(path) == from ? to + path.substr(from.size()) : path;
  };
  for (Names* const names : {&names_, &durable_names_}) {
    Names with_moved;
    for (const auto& [path, content] : *names) with_moved[moved(path)] = content;
    *names = std::move(with_moved);
  }
  for (NameChange& change : changes_) {
    change.path = moved(change.path);
    change.from = moved(change.from);
  }
  for (std::set<std::string>* const directories : {&directories_, &durable_directories_}) {
    if (directories->erase(from) != 0) directories->insert(to);
  }
  if (held_place_ == from) held_place_ = to;
}

}  // namespace locker::test
