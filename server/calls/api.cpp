#include "server/calls/api.hpp"

#include <utility>

#include "server/calls/acquire_call.hpp"
#include "server/calls/call_kind.hpp"
#include "server/calls/end_calls.hpp"
#include "server/calls/error_answer.hpp"
#include "server/calls/events_call.hpp"
#include "server/calls/lease_calls.hpp"
#include "server/calls/legacy_calls.hpp"
#include "server/calls/look_calls.hpp"
#include "server/calls/terraform.hpp"
#include "server/calls/ui_files.hpp"

namespace locker::server {
namespace {

/// Whether the operation is one of monitoring, which must not lose sight of the server when it is
/// busiest.
bool is_probe(Operation operation) {
  switch (operation) {
    case Operation::healthz:
    case Operation::readyz:
    case Operation::metrics:
      return true;
    case Operation::status:
    case Operation::openapi:
      break;
  }
  return false;
}

}  // namespace

Api::Api(LockService& service, const Metrics& metrics, std::string durability_name,
         std::string store)
    : service_(service),
      operations_(service, metrics, std::move(durability_name), std::move(store)) {}

void Api::answer(const Request& request, Response& response) {
  response.call = call_of(request.target, request.method);
  switch (response.call) {
    case CallKind::dohaz:
      return answer_dohaz(service_, request, response);
    case CallKind::canhaz:
      return answer_canhaz(service_, request, response);
    case CallKind::nowant:
      return answer_nowant(service_, request, response);
    case CallKind::acquire:
      return answer_acquire(service_, request, response);
    case CallKind::acquire_several:
      return answer_acquire_several(service_, request, response);
    case CallKind::release:
      return answer_release(service_, request, response);
    case CallKind::force:
      return answer_force_many(service_, request, response);
    case CallKind::look:
      return answer_look(service_, request, response);
    case CallKind::list:
      return answer_list(service_, request, response);
    case CallKind::lease_open:
      return answer_open_lease(service_, request, response);
    case CallKind::lease_renew:
      return answer_renew(service_, request, response);
    case CallKind::lease_look:
      return answer_look_at_lease(service_, request, response);
    case CallKind::lease_release:
      return answer_release_all(service_, request, response);
    case CallKind::events:
      return answer_events(service_, request, response);
    case CallKind::terraform:
      return answer_terraform(service_, request, response);
    case CallKind::page:
      return answer_ui(request, response);
    case CallKind::operations:
      return operations_.answer(*operation_of(request.target), request, response);
    case CallKind::other:
    case CallKind::waited:
    case CallKind::unreadable:
      break;
  }
  if (request.target.path == "/" && answer_browser_at_root(request, response)) return;
  answer_error(404, "not_found",
               "There is nothing here; to lock, POST /v1/locks/<path> (or /canhaz/<path>). "
               "/v1/openapi.json lists all calls.",
               response);
}

Treatment Api::treatment_of(Method method, const RequestTarget& target) const {
  const auto operation = operation_of(target);
  return {.has_large_body = call_of(target, method) == CallKind::acquire_several,
          .is_probe = operation && is_probe(*operation)};
}

}  // namespace locker::server
