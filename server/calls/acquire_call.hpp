#pragma once

#include <string_view>

#include "server/request_handler.hpp"
#include "server/service/lock_service.hpp"

namespace locker::server {

// POST /v1/locks/<path> and POST /v1/locks: from parameters to AcquireCommand and from Acquired to
// an answer, at once or later.

/// One lock; `path_text` still encoded.
void answer_acquire(LockService& service, std::string_view path_text, std::string_view query,
                    const Request& request, Response& response);
/// Several, or some of several.
void answer_acquire_several(LockService& service, std::string_view query, const Request& request,
                            Response& response);

}  // namespace locker::server
