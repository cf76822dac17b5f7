#pragma once

#include <string_view>

#include "server/calls/call_reader.hpp"
#include "server/request_handler.hpp"
#include "server/service/lock_service.hpp"

namespace locker::server {

// Forced ends: an administrator ends locks. Answered immediately or later.

/// DELETE /v1/locks/<path> with force=true. `read` has already read the path and `force`; this
/// function reads the rest.
void answer_force_one(LockService& service, const core::Path& path, CallReader& read,
                      const Request& request, Response& response);
/// DELETE /v1/locks: ends all locks that match.
void answer_force_many(LockService& service, const Request& request, Response& response);

}  // namespace locker::server
