#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "core/arbiter.hpp"
#include "server/access/access_key.hpp"
#include "server/access/audit_note.hpp"
#include "server/request_handler.hpp"

namespace locker::server {

/// Whether Response::audit is wanted.
[[nodiscard]] inline bool is_audited(const Request& request) {
  return request.caller != nullptr && request.caller->is_audited;
}

// These fill in Response::audit, if it is wanted.

/// One lock was granted.
void note_grant(const Request& request, std::string_view owner, core::Fence fence,
                Response& response);
/// One lock was released.
void note_release(const Request& request, core::Fence fence, Response& response);
/// A forced end, also one that ended nothing. `ended`: what LockService::force() put there.
void note_force(const Request& request, const core::Arbiter::ForceFilter& filter,
                const core::Arbiter::Forced& forced, std::vector<AuditedLock> ended,
                const std::string& reason, Response& response);
/// The same, for an answer that comes later.
[[nodiscard]] std::unique_ptr<AuditNote> note_of_force(const core::Arbiter::ForceFilter& filter,
                                                       const core::Arbiter::Forced& forced,
                                                       std::vector<AuditedLock> ended,
                                                       const std::string& reason);

}  // namespace locker::server
