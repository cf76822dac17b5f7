#pragma once

#include <atomic>
#include <string>

#include "server/calls/call_kind.hpp"
#include "server/metrics.hpp"
#include "server/request_handler.hpp"
#include "server/service/lock_service.hpp"

namespace locker::server {

/// The calls for operators and their tools: /healthz, /readyz, /metrics, /v1/status and
/// /v1/openapi.json. Thread-safe.
class Operations {
 public:
  /// `service` and `metrics` must outlive this object.
  Operations(LockService& service, const Metrics& metrics, std::string durability_name,
             std::string store);

  void answer(Operation operation, const Request& request, Response& response);

  /// Makes /readyz answer 503.
  void set_draining() { draining_.store(true, std::memory_order_relaxed); }

 private:
  void readiness(Response& response) const;
  void metrics(Response& response) const;
  void status(const Request& request, Response& response);

  LockService& service_;
  const Metrics& metrics_;
  const std::string durability_name_;
  const std::string store_;
  std::atomic<bool> draining_ = false;
};

}  // namespace locker::server
