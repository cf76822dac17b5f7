#pragma once

#include "server/request_handler.hpp"
#include "server/service/lock_service.hpp"

namespace locker::server {

// GET /v1/locks and GET /v1/locks/<path>. Any other method that comes here gets 405.

void answer_list(LockService& service, const Request& request, Response& response);
void answer_look(LockService& service, const Request& request, Response& response);

}  // namespace locker::server
