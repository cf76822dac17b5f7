#pragma once

#include <string_view>

#include "server/calls/parameters.hpp"
#include "server/lock_service.hpp"
#include "server/request_handler.hpp"

namespace locker::server {

/// DELETE /v1/locks/<path> and DELETE /v1/locks with force=true: from parameters, which have been
/// checked for what belongs to such a call, to an answer, at once or later. `path_text` still
/// encoded; empty: of every path.
void answer_force(LockService& service, std::string_view path_text, const Parameters& parameters,
                  const Request& request, Response& response);

}  // namespace locker::server
