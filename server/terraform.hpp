#pragma once

#include <string_view>

#include "server/lock_service.hpp"
#include "server/request_handler.hpp"

namespace locker::server {

/// LOCK and UNLOCK /terraform/<path>: what Terraform's and OpenTofu's http backend asks of
/// `lock_address` and `unlock_address`. The ID in the lock info is the lease's token, so that the
/// same request again gets the same answer; it is no secret there, by the protocol.
void answer_terraform(LockService& service, std::string_view path_text, std::string_view query,
                      const Request& request, Response& response);

}  // namespace locker::server
