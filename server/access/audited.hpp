#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "core/arbiter_answers.hpp"
#include "core/arbiter_commands.hpp"
#include "server/access/access_key.hpp"
#include "server/audit_note.hpp"
#include "server/request_handler.hpp"

namespace locker::server {

/// Whether Response::audit is wanted.
[[nodiscard]] inline bool is_audited(const Request& request) {
  return request.caller != nullptr && request.caller->is_audited;
}

/// One lock was granted: Response::audit says so, if it is wanted.
void note_grant(const Request& request, std::string_view owner, core::Fence fence,
                Response& response);
/// The same of one that was released.
void note_release(const Request& request, core::Fence fence, Response& response);
/// A forced end, also one that ended nothing. `ended`: what LockService::force() put there.
[[nodiscard]] std::unique_ptr<AuditNote> note_of_force(const core::ForceFilter& filter,
                                                       const core::Forced& forced,
                                                       std::vector<AuditedLock> ended,
                                                       const std::string& reason);

}  // namespace locker::server
