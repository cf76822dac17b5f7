#pragma once

#include <map>
#include <memory>
#include <random>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "core/lock_table.hpp"
#include "persistence/local_journal.hpp"
#include "tests/support/simulated_disk.hpp"

namespace locker::persistence {

/// A journal on a simulated disk, and the locks held according to its records.
class JournalTest : public testing::Test {
 public:
  static constexpr const char* directory = "store";
  using Held = std::map<core::LockId, std::string>;  // id -> owner and packed path

  [[nodiscard]] static std::string path(const std::string& name) {
    return std::string(directory) + "/" + name;
  }

  /// The locks held after each index, for all records passed to append().
  struct History {
    std::vector<Held> after{Held{}};
    core::Fence last_fence = 0;
    Index acknowledged = 0;
  };

  /// Opens the store; null, with `fault` set, if it is refused.
  std::unique_ptr<LocalJournal> open_on(FileSystem& files, Held& held, Durability durability);
  std::unique_ptr<LocalJournal> open(Held& held, Durability durability = Durability::always) {
    return open_on(disk_, held, durability);
  }
  std::unique_ptr<LocalJournal> open() {
    Held ignored;
    return open(ignored);
  }

  /// Appends one frame with some random grants and ends; false if the journal failed.
  bool append(LocalJournal& journal, History& history);
  /// Appends frames, and does the background work between them; false if the journal failed.
  bool run(LocalJournal& journal, History& history, int frames);

  /// Expects the store to open, and to hold what was held at some index from the last acknowledged
  /// one on.
  void expect_nothing_acknowledged_is_lost(const History& history, const std::string& what);

  std::uint64_t segment_bytes_ = segment_bytes_min;  ///< Of the largest segments, for open().
  test::SimulatedDisk disk_;
  std::mt19937_64 random_{1};
  OpenFault fault_;
  Recovered recovered_;
  std::vector<std::string> warnings_;
  std::string background_fault_;
};

}  // namespace locker::persistence
