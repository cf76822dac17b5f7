#pragma once

#include "server/request_handler.hpp"
#include "server/service/lock_service.hpp"

namespace locker::server {

// canhaz, nowant and dohaz: the calls of Locker 1.0b, frozen. Their answers have status 200 and
// exactly their original keys; bad input gets 400 {"ok": false, "error": "<sentence>"}.

void answer_canhaz(LockService& service, const Request& request, Response& response);
void answer_nowant(LockService& service, const Request& request, Response& response);
void answer_dohaz(LockService& service, const Request& request, Response& response);

}  // namespace locker::server
