#pragma once

#include "server/request_handler.hpp"
#include "server/service/lock_service.hpp"

namespace locker::server {

// DELETE /v1/locks/<path> and DELETE /v1/locks. A forced end is answered immediately or, if there
// are very many locks to end, later.

/// Releases the lock for its holder or, with force=true, ends it for an administrator.
void answer_release(LockService& service, const Request& request, Response& response);
/// Ends all locks that match.
void answer_force_many(LockService& service, const Request& request, Response& response);

}  // namespace locker::server
