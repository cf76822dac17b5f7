#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <random>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "persistence/file_system.hpp"

namespace locker::test {

/// A disk in memory that keeps what was synced apart from what was only written, so that the power
/// can fail at any call. Not thread-safe. A copy is an independent disk, with nothing locked.
///
/// The model: a write is durable after sync() of its file; until then a power failure keeps any of
/// its 512-byte sectors and loses the others. A name (created, renamed, removed) is durable after
/// sync_directory(), and a directory after that of its parent. A failed sync loses what was written
/// before it: the cache continues to show it, and the disk never gets it. A failed write leaves a
/// part of itself.
class SimulatedDisk final : public persistence::FileSystem {
 public:
  SimulatedDisk() = default;
  SimulatedDisk(const SimulatedDisk& other);
  SimulatedDisk& operator=(const SimulatedDisk& other);
  SimulatedDisk(SimulatedDisk&&) = default;
  SimulatedDisk& operator=(SimulatedDisk&&) = default;
  ~SimulatedDisk() override = default;

  [[nodiscard]] persistence::IoResult<std::unique_ptr<persistence::File>> open(
      const std::string& path, persistence::Access access) override;
  [[nodiscard]] persistence::IoResult<void> rename(const std::string& from,
                                                   const std::string& to) override;
  [[nodiscard]] persistence::IoResult<void> remove(const std::string& path) override;
  [[nodiscard]] persistence::IoResult<std::vector<std::string>> list(
      const std::string& directory) override;
  [[nodiscard]] persistence::IoResult<void> make_directory(const std::string& path) override;
  [[nodiscard]] persistence::IoResult<void> sync_directory(const std::string& path) override;
  [[nodiscard]] persistence::IoResult<std::unique_ptr<persistence::FileLock>> lock(
      const std::string& path, persistence::Locking locking) override;
  [[nodiscard]] persistence::IoResult<std::uint64_t> free_space(
      const std::string& directory) override;
  /// Neither this nor the next counts as a call of the disk.
  [[nodiscard]] persistence::IoResult<void> hold_directory(const std::string& path) override;
  [[nodiscard]] persistence::IoResult<void> check_held_directory() override;

  /// Cuts the power at the n-th call from now on, the first being 1; 0: never. That call and all
  /// later ones fail without effect, until restart() or restart_process().
  void cut_power_at(std::uint64_t call) { cut_at_ = call == 0 ? 0 : calls_ + call; }
  /// Makes the n-th call from now on fail with this errno, once or for ever.
  void fail_at(std::uint64_t call, int error, bool for_ever) {
    fail_at_ = call == 0 ? 0 : calls_ + call;
    error_ = error;
    fails_for_ever_ = for_ever;
  }
  /// Makes the next call fail whose description begins with `call`, for example "sync
  /// store/journal".
  void fail_next(std::string call, int error) {
    fail_next_ = std::move(call);
    error_ = error;
  }
  [[nodiscard]] bool has_failed() const { return failed_; }
  [[nodiscard]] bool is_off() const { return is_off_; }
  /// Describes the call that the power failure or the error struck: "rename store/STORE.tmp".
  [[nodiscard]] const std::string& struck_call() const { return struck_call_; }
  void limit_space(std::uint64_t bytes) { space_ = bytes; }
  /// Limits the space from the n-th query of the free space on, the first being 1.
  void limit_space_at_look(int look, std::uint64_t bytes) {
    looks_until_ = look;
    later_space_ = bytes;
  }
  /// Acts as if remounted read-only.
  void make_read_only() { is_read_only_ = true; }
  /// Makes reads of a file end after this many bytes, without an error.
  void limit_reads(std::uint64_t bytes) { readable_ = bytes; }
  /// The most bytes requested by one read.
  [[nodiscard]] std::size_t largest_read() const { return largest_read_; }
  /// The most bytes written to one file between two syncs of it.
  [[nodiscard]] std::uint64_t most_unsynced() const { return most_unsynced_; }

  enum class Survival {
    nothing,
    everything,
    something,  ///< Any sectors, and any of the changes of names.
    beginning,  ///< The sectors up to some point in the order they were written; likewise names.
  };
  /// Turns the power on again: of what was not synced, as much survives as `survival` says;
  /// `random` chooses. Everything on the disk is durable then.
  void restart(Survival survival, std::mt19937_64& random);
  /// The process ended, the machine did not: the cache is unchanged, nothing more is durable.
  void restart_process();

  /// The bytes of a file, to examine and to damage.
  [[nodiscard]] std::string& bytes(const std::string& path);
  [[nodiscard]] bool has(const std::string& path) const { return names_.contains(path); }
  [[nodiscard]] std::vector<std::string> paths() const;
  void erase(const std::string& path);
  /// Adds a file as if it had always been there.
  void put(const std::string& path, std::string bytes);
  /// Moves a file as `mv` does.
  void move(const std::string& from, const std::string& to);
  /// Moves a directory and its contents.
  void move_directory(const std::string& from, const std::string& to);

 private:
  friend class SimulatedFile;
  struct Write {
    std::uint64_t offset;
    std::string bytes;
  };
  struct Content {
    std::string seen;  // through the cache: durable, pending, and lost by a failed sync
    std::string durable;
    std::vector<Write> pending;
    std::uint64_t unsynced = 0;   // bytes written since the last sync
    std::shared_ptr<int> holder;  // of the lock
    std::shared_ptr<int>
        readers;  // of the lock, too: the use count is the number of readers plus one
  };
  using ContentPointer = std::shared_ptr<Content>;
  struct NameChange {
    std::string path;
    ContentPointer content;  // null: the name was removed
    std::string from;        // the old name, if it is a rename
  };
  using Names = std::map<std::string, ContentPointer>;

  /// Counts a call, and returns the error with which it must fail, if any.
  [[nodiscard]] std::optional<persistence::IoError> call(const std::string& what);
  [[nodiscard]] persistence::IoResult<void> sync(Content& content, const std::string& what);
  void change(NameChange change);
  /// As call(), for one that writes.
  [[nodiscard]] std::optional<persistence::IoError> writing_call(const std::string& what);
  static void apply(const NameChange& change, Names& names);
  [[nodiscard]] std::uint64_t used() const;
  static void keep(Content& content, Survival survival, std::mt19937_64& random);
  void heal();
  /// Resolves a path: what is in the held directory moves with that.
  [[nodiscard]] std::string place_of(const std::string& path) const;

  Names names_;
  Names durable_names_;
  std::vector<NameChange> changes_;
  std::set<std::string> directories_{"."};
  std::set<std::string> durable_directories_{"."};
  std::string held_name_;   // of the held directory when it was held; empty: none is
  std::string held_place_;  // its current name
  std::uint64_t calls_ = 0;
  std::uint64_t cut_at_ = 0;
  bool is_off_ = false;
  bool is_read_only_ = false;
  std::uint64_t fail_at_ = 0;
  std::string fail_next_;
  int error_ = 0;
  bool fails_for_ever_ = false;
  bool failed_ = false;
  std::string struck_call_;
  std::uint64_t space_ = std::uint64_t{1} << 40U;
  int looks_until_ = 0;  // queries until later_space_ is the limit; 0: never
  std::uint64_t later_space_ = 0;
  std::uint64_t readable_ = std::uint64_t{1} << 40U;
  std::size_t largest_read_ = 0;
  std::uint64_t most_unsynced_ = 0;
};

}  // namespace locker::test
