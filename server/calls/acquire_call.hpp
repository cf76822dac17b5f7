#pragma once

#include "server/request_handler.hpp"
#include "server/service/lock_service.hpp"

namespace locker::server {

// POST /v1/locks/<path> and POST /v1/locks: build an AcquireCommand from the parameters, and the
// answer from Acquired, immediately or after a wait.

/// Acquires one lock.
void answer_acquire(LockService& service, const Request& request, Response& response);
/// Acquires all of several locks, or as many of them as `any` says.
void answer_acquire_several(LockService& service, const Request& request, Response& response);

}  // namespace locker::server
