#pragma once

#include "server/request_handler.hpp"
#include "server/service/lock_service.hpp"

namespace locker::server {

/// Answers GET /v1/events with a stream of events.
void answer_events(LockService& service, const Request& request, Response& response);

}  // namespace locker::server
