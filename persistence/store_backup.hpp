#pragma once

#include <string>

#include "persistence/store_inspection.hpp"

namespace locker::persistence {

/// Copies a store into `destination`, a directory that does not exist yet or is empty; its parent
/// must exist. A server may have the store open and continue to work: nothing of the store is
/// locked, stopped or changed. Blocks.
///
/// The copy has everything that was acknowledged before the call. Of what is acknowledged during
/// it, the copy has everything up to some record and nothing after that. On return the copy is
/// durable and has been read back and verified; until then it has no STORE file, so it is not a
/// store. After a fault the destination is empty again, if it could be emptied.
[[nodiscard]] OpenResult<Inspected> back_up_store(FileSystem& files, const std::string& source,
                                                  const std::string& destination);

}  // namespace locker::persistence
