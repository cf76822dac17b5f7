#include "server/calls/api.hpp"

#include <utility>

#include "server/calls/acquire_call.hpp"
#include "server/calls/call_kind.hpp"
#include "server/calls/call_reader.hpp"
#include "server/calls/end_calls.hpp"
#include "server/calls/error_answer.hpp"
#include "server/calls/events_call.hpp"
#include "server/calls/lease_calls.hpp"
#include "server/calls/legacy_calls.hpp"
#include "server/calls/look_calls.hpp"
#include "server/calls/openapi.hpp"
#include "server/calls/terraform.hpp"
#include "server/calls/ui_files.hpp"
#include "server/json_text.hpp"
#include "server/service/disk_watch.hpp"
#include "server/version.hpp"

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
      metrics_(metrics),
      durability_name_(std::move(durability_name)),
      store_(std::move(store)) {}

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
      return answer_operation(*operation_of(request.target), request, response);
    case CallKind::other:
    case CallKind::waited:
    case CallKind::unreadable:
      break;
  }
  if (request.target.path == "/" && answer_browser_at_root(request, response)) return;
  answer_error(
      404, "not_found",
      "There is nothing here; lock with POST /v1/locks/<path> (or /canhaz/<path>), see all "
      "calls in /v1/openapi.json.",
      response);
}

Treatment Api::treatment_of(Method method, const RequestTarget& target) const {
  const auto operation = operation_of(target);
  return {.has_large_body = call_of(target, method) == CallKind::acquire_several,
          .is_probe = operation && is_probe(*operation)};
}

void Api::answer_operation(Operation operation, const Request& request, Response& response) {
  if (!request.reads()) {
    return answer_wrong_method(
        "GET, HEAD",
        operation == Operation::openapi ? "Use GET, HEAD for this call." : "Use GET for this call.",
        response);
  }
  switch (operation) {
    case Operation::healthz:
      return health(response);
    case Operation::readyz:
      return readiness(response);
    case Operation::metrics:
      return metrics(response);
    case Operation::status:
      return status(request, response);
    case Operation::openapi:
      response.body = openapi_json;
      return;
  }
}

/// Does not wait for the disk: metrics are needed most when it hangs.
void Api::metrics(Response& response) const {
  response.content_type = PrometheusText::content_type;
  metrics_.write(response.body);
}

void Api::health(Response& response) const { response.body = R"({"status": "ok"})"; }

void Api::readiness(Response& response) const {
  const bool is_draining = draining_.load(std::memory_order_relaxed);
  if (!is_draining && metrics_.write_age() < disk_patience) {
    response.body = R"({"status": "ready"})";
    return;
  }
  response.retry_after = true;
  if (is_draining) {
    answer_error(503, "draining", "The server is stopping; use another one or try again soon.",
                 response);
  } else {
    answer_error(503, "disk_hangs", "The disk of the store does not answer; see the server's log.",
                 response);
  }
}

void Api::status(const Request& request, Response& response) {
  CallReader read{request};
  read.parameters().only("");
  if (read.refused(response)) return;
  const LockService::Status status = service_.status();
  response.index = status.index;
  std::string& body = response.body;
  body = R"({"version": ")";
  body += version;
  body += R"(", "durability": ")" + durability_name_ + R"(", "store": )";
  append_json_text(store_, body);
  body += R"(, "locks": )" + std::to_string(status.locks);
  body += R"(, "leases": )" + std::to_string(status.leases);
  body += R"(, "opened_leases": )" + std::to_string(status.opened_leases);
  body += R"(, "waiters": )" + std::to_string(status.waiters);
  body += R"(, "event_readers": )" + std::to_string(service_.events().readers());
  body += R"(, "index": )" + std::to_string(status.index);
  body += R"(, "last_fence": )" + std::to_string(status.last_fence);
  body += R"(, "accepts_grants": )";
  body += status.accepts_grants ? "true}" : "false}";
}

}  // namespace locker::server
