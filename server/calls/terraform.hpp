#pragma once

#include <optional>
#include <string_view>

#include "core/error.hpp"
#include "core/lock.hpp"
#include "server/request_handler.hpp"
#include "server/service/lock_service.hpp"

namespace locker::server {

/// LOCK and UNLOCK /terraform/<path>: what Terraform's and OpenTofu's http backend asks of
/// `lock_address` and `unlock_address`. The ID in the lock info is the lease's token, so that the
/// same request again gets the same answer; it is no secret there, by the protocol.
void answer_terraform(LockService& service, std::string_view path_text, std::string_view query,
                      const Request& request, Response& response);

/// The token that a lock info's ID stands for: of the lease that LOCK takes, or takes a lock into.
[[nodiscard]] std::optional<core::Fault> read_terraform_token(const Request& request,
                                                              core::Token& token);

}  // namespace locker::server
