#pragma once

#include <functional>
#include <string>
#include <vector>

#include "persistence/recovery.hpp"

namespace locker::persistence {

/// What a store has that no server has open.
struct Inspected {
  Recovered summary;
  std::size_t locks = 0;
  std::size_t segments = 0;
  std::size_t snapshots = 0;
  std::vector<std::string> warnings;  ///< Of a backup: what is wrong with the store it is of.
};

/// Looks at a store that no server has open, and changes nothing: it may be on a file system that
/// is read-only. Checks every file from end to end, also those that a start would not need; the
/// fault tells the first that is wrong. `on_record` is told of the records as a start would read
/// them; false from it is a contradiction.
[[nodiscard]] OpenResult<Inspected> inspect_store(
    FileSystem& files, const std::string& directory,
    const std::function<bool(Index, const core::Record&)>& on_record);

}  // namespace locker::persistence
