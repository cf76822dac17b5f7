#include "server/access/audited.hpp"

#include <memory>
#include <utility>

namespace locker::server {
namespace {

std::string_view outcome_of(const core::Arbiter::Forced& forced) {
  if (forced.outcome != core::Outcome::granted) return "refused_busy";
  return forced.count == 0 ? "not_held" : "forced";
}

}  // namespace

void note_grant(const Request& request, std::string_view owner, core::Fence fence,
                Response& response) {
  if (!is_audited(request)) return;
  response.audit = std::make_unique<AuditNote>();
  response.audit->outcome = "granted";
  response.audit->owner = owner;
  response.audit->fence = fence;
}

void note_release(const Request& request, core::Fence fence, Response& response) {
  if (!is_audited(request)) return;
  response.audit = std::make_unique<AuditNote>();
  response.audit->outcome = "released";
  response.audit->fence = fence;
}

void note_force(const Request& request, const core::Arbiter::ForceFilter& filter,
                const core::Arbiter::Forced& forced, std::vector<AuditedLock> ended,
                const std::string& reason, Response& response) {
  if (!is_audited(request)) return;
  response.audit = std::make_unique<AuditNote>();
  response.audit->outcome = outcome_of(forced);
  response.audit->owner = filter.owner;
  response.audit->fence = filter.fence.value_or(0);
  response.audit->count = forced.count;
  response.audit->locks = std::move(ended);
  response.audit->reason = reason;
}

}  // namespace locker::server
