#pragma once

#include <optional>

#include "core/error.hpp"
#include "core/lock.hpp"
#include "server/request_handler.hpp"
#include "server/service/lock_service.hpp"

namespace locker::server {

/// LOCK and UNLOCK /terraform/<path>: the `lock_address` and `unlock_address` of the http backend
/// of Terraform and OpenTofu. The ID in the lock info is the lease's token, so a repeated request
/// gets the same answer. By that protocol the ID is not a secret.
void answer_terraform(LockService& service, const Request& request, Response& response);

/// Reads the token that the ID of the lock info stands for: that of the lease which LOCK opens, or
/// to which it adds a lock.
[[nodiscard]] std::optional<core::Fault> read_terraform_token(const Request& request,
                                                              core::Token& token);

}  // namespace locker::server
