#pragma once

#include <string>
#include <vector>

namespace locker::client {

/// `locker token …`: makes API keys and the lines of lockerd's key file. Takes what stands behind
/// `token`, returns the exit code.
int run_token_command(const std::vector<std::string>& arguments);

}  // namespace locker::client
