#pragma once

#include <functional>
#include <string>
#include <vector>

#include "persistence/recovery.hpp"

namespace locker::persistence {

/// The contents of a store that no server has open.
struct Inspected {
  Recovered summary;
  std::size_t locks = 0;
  std::size_t segments = 0;
  std::size_t snapshots = 0;
  std::vector<std::string> warnings;  ///< For a backup: what is wrong with the original store.
};

/// Inspects a store that no server has open, and changes nothing, so that the file system may be
/// read-only. Verifies every file from end to end, including those that recovery would not need;
/// the fault describes the first that is wrong. Calls `on_record` for the records as recovery
/// would; false from it is a contradiction.
[[nodiscard]] OpenResult<Inspected> inspect_store(
    FileSystem& files, const std::string& directory,
    const std::function<bool(Index, const core::Record&)>& on_record);

}  // namespace locker::persistence
