#pragma once

#include <string_view>

#include "server/request_handler.hpp"
#include "server/service/lock_service.hpp"

namespace locker::server {

// POST /v1/locks/<path> and POST /v1/locks: build an AcquireCommand from the parameters, and the
// answer from Acquired, immediately or after a wait.

/// Acquires one lock. `path_text` is still percent-encoded.
void answer_acquire(LockService& service, std::string_view path_text, std::string_view query,
                    const Request& request, Response& response);
/// Acquires all of several locks, or as many of them as `any` says.
void answer_acquire_several(LockService& service, std::string_view query, const Request& request,
                            Response& response);

}  // namespace locker::server
