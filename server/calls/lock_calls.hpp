#pragma once

#include <string_view>

#include "server/request_handler.hpp"
#include "server/service/lock_service.hpp"

namespace locker::server {

// GET /v1/locks, and GET and DELETE /v1/locks/<path>.

void answer_list(LockService& service, const Request& request, Response& response);
void answer_look(LockService& service, const Request& request, Response& response);
/// Releases the lock for its holder or, with force=true, ends it for an administrator.
void answer_release(LockService& service, const Request& request, Response& response);

}  // namespace locker::server
