#include "server/http/http_metrics.hpp"

#include <utility>

namespace locker::server {

std::shared_ptr<WorkerMetrics> HttpMetrics::add_worker() {
  const std::lock_guard lock{mutex_};
  return workers_.emplace_back(std::make_shared<WorkerMetrics>());
}

void HttpMetrics::watch(std::shared_ptr<const SharedCount> connections,
                        std::shared_ptr<const SharedCount> buffered,
                        std::shared_ptr<const TlsContext> tls) {
  const std::lock_guard lock{mutex_};
  connections_ = std::move(connections);
  buffered_ = std::move(buffered);
  tls_ = std::move(tls);
}

HttpMetrics::Totals HttpMetrics::totals() const {
  const std::lock_guard lock{mutex_};
  Totals totals;
  for (const auto& worker : workers_) {
    for (std::size_t call = 0; call < call_count; ++call) {
      for (std::size_t status = 0; status < status_classes; ++status) {
        totals.answers[call][status] += worker->answers[call][status].value();
      }
      worker->durations[call].add_to(totals.durations[call]);
    }
    totals.accepted += worker->accepted.value();
    totals.made_way += worker->made_way.value();
    totals.turned_away += worker->turned_away.value();
    totals.tls_failed += worker->tls_failed.value();
  }
  if (connections_) totals.connections = connections_->value();
  if (buffered_) totals.buffered_bytes = buffered_->value();
  if (tls_) {
    totals.certificate_expires_at = tls_->expires_at();
    totals.tls_is_current = tls_->is_current();
  }
  return totals;
}

}  // namespace locker::server
