#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "core/arbiter_answers.hpp"
#include "core/arbiter_commands.hpp"
#include "server/access/caller.hpp"
#include "server/audit_note.hpp"
#include "server/request_handler.hpp"

namespace locker::server {

/// Whether the handler has to fill in Response::audit.
[[nodiscard]] inline bool is_audited(const Request& request) {
  return request.caller != nullptr && request.caller->is_audited;
}

/// Records the grant of one lock in Response::audit, if is_audited().
void note_grant(const Request& request, std::string_view owner, core::Fence fence,
                Response& response);
/// Records the release of one lock in Response::audit, if is_audited().
void note_release(const Request& request, core::Fence fence, Response& response);
/// Returns the note for a force, also for one that ended nothing. `ended` is what
/// LockService::force() filled in.
[[nodiscard]] std::unique_ptr<AuditNote> note_of_force(const core::ForceFilter& filter,
                                                       const core::Forced& forced,
                                                       std::vector<AuditedLock> ended,
                                                       const std::string& reason);

}  // namespace locker::server
