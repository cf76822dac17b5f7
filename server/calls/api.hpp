#pragma once

#include <string>

#include "server/calls/operations_call.hpp"
#include "server/metrics.hpp"
#include "server/request_handler.hpp"
#include "server/service/lock_service.hpp"

namespace locker::server {

/// Routes requests by URL: the 1.0b calls, /v1, /terraform, /ui, /healthz, /readyz and /metrics.
/// Thread-safe.
class Api final : public RequestHandler {
 public:
  /// /v1/status reports `durability_name` and `store`. `metrics` must outlive this object.
  Api(LockService& service, const Metrics& metrics, std::string durability_name, std::string store);

  void answer(const Request& request, Response& response) override;
  [[nodiscard]] Treatment treatment_of(Method method, const RequestTarget& target) const override;

  /// Makes /readyz answer 503, so that load balancers stop sending traffic here.
  void set_draining() { operations_.set_draining(); }

 private:
  LockService& service_;
  Operations operations_;
};

}  // namespace locker::server
