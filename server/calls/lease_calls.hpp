#pragma once

#include "server/request_handler.hpp"
#include "server/service/lock_service.hpp"

namespace locker::server {

// POST, GET and DELETE /v1/leases, and POST /v1/leases/renew.

void answer_open_lease(LockService& service, const Request& request, Response& response);
void answer_look_at_lease(LockService& service, const Request& request, Response& response);
void answer_release_all(LockService& service, const Request& request, Response& response);
void answer_renew(LockService& service, const Request& request, Response& response);

}  // namespace locker::server
