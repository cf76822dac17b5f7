#pragma once

#include <string>
#include <vector>

namespace locker::client {

/// `locker store verify|dump PATH`: looks at a store without changing it. Returns the exit code:
/// 0 in order, 64 used wrongly, 73 in use, 74 unreadable, 78 damaged.
int run_store_command(const std::vector<std::string>& arguments);

}  // namespace locker::client
