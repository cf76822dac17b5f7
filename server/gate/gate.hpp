#pragma once

#include <string_view>

#include "server/access/access_metrics.hpp"
#include "server/access/audit_line.hpp"
#include "server/access/audit_log.hpp"
#include "server/access/caller.hpp"
#include "server/access/key_ring.hpp"
#include "server/access/line_budget.hpp"
#include "server/gate/required_access.hpp"
#include "server/request_handler.hpp"
#include "server/service/lock_service.hpp"

namespace locker::server {

/// Controls access to the handler of all requests: lets through what a key permits, and writes the
/// outcome, as given in Response::audit, to the audit log. Looks a key up again when a wait ends
/// and before each piece of a stream. Not needed without keys and without an audit log.
/// Thread-safe.
class Gate final : public RequestHandler {
 public:
  /// `keys` and `audit` may be null. All arguments must outlive the gate and everything that came
  /// through it.
  Gate(RequestHandler& inner, LockService& service, AccessMetrics& metrics, const KeyRing* keys,
       AuditLog* audit)
      : inner_(inner), service_(service), metrics_(metrics), keys_(keys), audit_(audit) {}

  [[nodiscard]] Treatment treatment_of(Method method, const RequestTarget& target) const override {
    return inner_.treatment_of(method, target);
  }
  void answer(const Request& request, Response& response) override;
  /// Refuses requests without a valid key before their bodies are read, which would only take
  /// memory.
  bool answer_early(const Request& request, Response& response) override;

 private:
  class GatedPending;
  class AuditedDelivery;
  class KeyedStream;
  struct Visit;

  [[nodiscard]] bool identify(Visit& visit) const;
  [[nodiscard]] bool is_permitted(Visit& visit, Response& response);
  [[nodiscard]] bool is_permitted_for_lease(Visit& visit, Response& response);
  void answer_stranger(Visit& visit, Response& response);
  void refuse_stranger(Visit& visit, Response& response);
  void refuse(Visit& visit, unsigned status, std::string_view code, const std::string& sentence,
              Response& response);
  void note_refusal(Visit& visit, unsigned status);
  void conclude(Visit& visit, Response& response);
  void report(const AuditedRequest& request, Response& response);

  RequestHandler& inner_;
  LockService& service_;
  AccessMetrics& metrics_;
  const KeyRing* const keys_;
  AuditLog* const audit_;
  LineBudget strangers_{20};
};

}  // namespace locker::server
