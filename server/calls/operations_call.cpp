#include "server/calls/operations_call.hpp"

#include <utility>

#include "server/calls/call_reader.hpp"
#include "server/calls/error_answer.hpp"
#include "server/calls/openapi.hpp"
#include "server/json_text.hpp"
#include "server/service/disk_watch.hpp"
#include "server/version.hpp"

namespace locker::server {

Operations::Operations(LockService& service, const Metrics& metrics, std::string durability_name,
                       std::string store)
    : service_(service),
      metrics_(metrics),
      durability_name_(std::move(durability_name)),
      store_(std::move(store)) {}

void Operations::answer(Operation operation, const Request& request, Response& response) {
  if (!request.reads()) {
    return answer_wrong_method(
        "GET, HEAD",
        operation == Operation::openapi ? "Use GET, HEAD for this call." : "Use GET for this call.",
        response);
  }
  switch (operation) {
    case Operation::healthz:
      response.body = R"({"status": "ok"})";
      return;
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
void Operations::metrics(Response& response) const {
  response.content_type = PrometheusText::content_type;
  metrics_.write(response.body);
}

void Operations::readiness(Response& response) const {
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
    answer_error(503, "disk_hangs", "The store's disk does not respond; see the server's log.",
                 response);
  }
}

void Operations::status(const Request& request, Response& response) {
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
