#include "server/api.hpp"

#include <utility>

#include "server/call_kind.hpp"
#include "server/error_answer.hpp"
#include "server/json_text.hpp"
#include "server/parameters.hpp"
#include "server/request_target.hpp"
#include "server/terraform.hpp"
#include "server/ui_files.hpp"
#include "server/version.hpp"

namespace locker::server {
namespace {

bool reads_only(const Request& request, Response& response) {
  if (request.method == Method::get || request.method == Method::head) return true;
  response.allow = "GET, HEAD";
  answer_error(405, "method_not_allowed", "Use GET for this call.", response);
  return false;
}

}  // namespace

Api::Api(LockService& service, const Metrics& metrics, std::string durability_name,
         std::string store)
    : service_(service),
      metrics_(metrics),
      seed_verbs_(service),
      v1_(service),
      durability_name_(std::move(durability_name)),
      store_(std::move(store)) {}

void Api::answer(const Request& request, Response& response) {
  const auto [whole, query, verb, rest] = RequestTarget{request.target};

  if (verb == "/dohaz") {
    response.call = CallKind::dohaz;
    return seed_verbs_.dohaz(rest, query, request, response);
  }
  if (verb == "/canhaz") {
    response.call = CallKind::canhaz;
    return seed_verbs_.canhaz(rest, query, request, response);
  }
  if (verb == "/nowant") {
    response.call = CallKind::nowant;
    return seed_verbs_.nowant(rest, query, request, response);
  }
  if (answer_operations(whole, query, request, response)) return;
  if (verb == "/v1") {
    response.call = call_of_v1(whole, request.method);
    if (v1_.answer(whole, query, request, response)) return;
  }
  if (verb == "/terraform") {
    response.call = CallKind::terraform;
    return answer_terraform(service_, rest, query, request, response);
  }
  if (verb == "/ui") {
    response.call = CallKind::page;
    return answer_ui(rest, request, response);
  }
  if (whole == "/" && answer_browser_at_root(request, response)) return;
  answer_error(
      404, "not_found",
      "There is nothing here; lock with POST /v1/locks/<path> (or /canhaz/<path>), see all "
      "calls in /v1/openapi.json.",
      response);
}

/// What operators and their tools ask for. False when it is none of that.
bool Api::answer_operations(std::string_view path, std::string_view query, const Request& request,
                            Response& response) {
  const bool is_health = path == "/healthz";
  const bool is_readiness = path == "/readyz";
  const bool is_metrics = path == "/metrics";
  if (!is_health && !is_readiness && !is_metrics && path != "/v1/status") return false;
  response.call = CallKind::operations;
  if (!reads_only(request, response)) return true;
  if (is_health) {
    health(response);
  } else if (is_readiness) {
    readiness(response);
  } else if (is_metrics) {
    metrics(response);
  } else {
    Parameters parameters;
    auto fault = parameters.parse(query, request);
    if (!fault) fault = parameters.expect_only("");
    fault ? answer_fault(*fault, response) : status(response);
  }
  return true;
}

/// Waits for nothing: it must be there just when the disk is not.
void Api::metrics(Response& response) const {
  response.content_type = PrometheusText::content_type;
  metrics_.write(response.body);
}

void Api::health(Response& response) const { response.body = R"({"status": "ok"})"; }

void Api::readiness(Response& response) const {
  if (!draining_.load(std::memory_order_relaxed)) {
    response.body = R"({"status": "ready"})";
    return;
  }
  response.retry_after = true;
  answer_error(503, "draining", "The server is stopping; use another one or try again soon.",
               response);
}

void Api::status(Response& response) {
  const LockService::Status status = service_.status();
  response.index = status.index;
  std::string& body = response.body;
  body = R"({"version": ")";
  body += version;
  body += R"(", "durability": ")" + durability_name_ + R"(", "store": )";
  append_json_string(store_, body);
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
