#include "server/access/audit_notes.hpp"

#include <memory>
#include <utility>

namespace locker::server {
namespace {

AuditOutcome outcome_of(const core::Forced& forced) {
  if (forced.outcome != core::Outcome::granted) return AuditOutcome::refused_busy;
  return forced.count == 0 ? AuditOutcome::not_held : AuditOutcome::forced;
}

}  // namespace

void note_grant(const Request& request, std::string_view owner, core::Fence fence,
                Response& response) {
  if (!is_audited(request)) return;
  response.audit = std::make_unique<AuditNote>();
  response.audit->outcome = AuditOutcome::granted;
  response.audit->owner = owner;
  response.audit->fence = fence;
}

void note_release(const Request& request, core::Fence fence, Response& response) {
  if (!is_audited(request)) return;
  response.audit = std::make_unique<AuditNote>();
  response.audit->outcome = AuditOutcome::released;
  response.audit->fence = fence;
}

std::unique_ptr<AuditNote> note_of_force(const core::ForceFilter& filter,
                                         const core::Forced& forced, std::vector<AuditedLock> ended,
                                         const std::string& reason) {
  auto note = std::make_unique<AuditNote>();
  note->outcome = outcome_of(forced);
  note->owner = filter.owner;
  note->fence = filter.fence.value_or(0);
  note->count = forced.count;
  note->locks = std::move(ended);
  note->reason = reason;
  return note;
}

}  // namespace locker::server
