#pragma once

#include <string>

#include "persistence/store_inspection.hpp"

namespace locker::persistence {

/// Copies a store into `destination`, a directory that is not there yet or is empty; its parent
/// must exist. A server may have the store open and goes on: nothing of it is locked, stopped or
/// changed. Blocks.
///
/// Everything that was acknowledged before this was called is in the copy. What comes meanwhile may
/// be, up to some record and none behind it. The copy is on the disk and has been read back whole
/// on return; before, it has no STORE file, and is no store. After a fault the destination is empty
/// again, where that could be done.
[[nodiscard]] OpenResult<Inspected> back_up_store(FileSystem& files, const std::string& source,
                                                  const std::string& destination);

}  // namespace locker::persistence
