#include "server/api.hpp"

#include <utility>

#include "server/error_answer.hpp"
#include "server/json_text.hpp"
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

Api::Api(LockService& service, std::string durability_name, std::string store)
    : service_(service),
      seed_verbs_(service),
      v1_(service),
      durability_name_(std::move(durability_name)),
      store_(std::move(store)) {}

void Api::answer(const Request& request, Response& response) {
  const auto [whole, query, verb, rest] = RequestTarget{request.target};

  if (verb == "/dohaz") return seed_verbs_.dohaz(rest, query, request, response);
  if (verb == "/canhaz") return seed_verbs_.canhaz(rest, query, request, response);
  if (verb == "/nowant") return seed_verbs_.nowant(rest, query, request, response);
  if (whole == "/healthz") return reads_only(request, response) ? health(response) : void();
  if (whole == "/readyz") return reads_only(request, response) ? readiness(response) : void();
  if (whole == "/v1/status") return reads_only(request, response) ? status(response) : void();
  if (verb == "/v1" && v1_.answer(whole, query, request, response)) return;
  if (verb == "/terraform") return answer_terraform(service_, rest, query, request, response);
  if (verb == "/ui") return answer_ui(rest, request, response);
  if (whole == "/" && answer_browser_at_root(request, response)) return;
  answer_error(
      404, "not_found",
      "There is nothing here; lock with POST /v1/locks/<path> (or /canhaz/<path>), see all "
      "calls in /v1/openapi.json.",
      response);
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
  body += R"(, "waiters": )" + std::to_string(status.waiters);
  body += R"(, "event_readers": )" + std::to_string(service_.events().readers());
  body += R"(, "index": )" + std::to_string(status.index);
  body += R"(, "last_fence": )" + std::to_string(status.last_fence);
  body += R"(, "accepts_grants": )";
  body += status.accepts_grants ? "true}" : "false}";
}

}  // namespace locker::server
