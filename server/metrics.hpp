#pragma once

#include <chrono>
#include <string>

#include "persistence/local_journal.hpp"
#include "server/access/access_metrics.hpp"
#include "server/http/http_metrics.hpp"
#include "server/prometheus/prometheus_text.hpp"
#include "server/service/group_commit.hpp"
#include "server/service/lock_service.hpp"

namespace locker::server {

/// Renders /metrics. No label value is a path or an owner, so the number of series does not depend
/// on what is locked. Thread-safe.
class Metrics {
 public:
  /// All arguments must outlive this object.
  Metrics(LockService& service, const GroupCommit& commit, const persistence::LocalJournal& journal,
          const HttpMetrics& http)
      : service_(service), commit_(commit), journal_(journal), http_(http) {}

  /// Adds the access metrics to the output. Call before the first write(); `access` must outlive
  /// this object.
  void show(const AccessMetrics& access) { access_ = &access; }
  /// Appends all metrics in the Prometheus text format. Does not wait for a sync.
  void write(std::string& out) const;
  /// Returns how long the disk has not answered the write or sync under way; zero if there is none.
  /// Lock-free.
  [[nodiscard]] std::chrono::nanoseconds write_age() const {
    return journal_.write_age(persistence::LocalJournal::Clock::now());
  }

 private:
  void write_http(PrometheusText& text) const;
  void write_locks(PrometheusText& text) const;
  void write_commits(PrometheusText& text) const;
  void write_store(PrometheusText& text) const;
  void write_access(PrometheusText& text) const;

  LockService& service_;
  const GroupCommit& commit_;
  const persistence::LocalJournal& journal_;
  const HttpMetrics& http_;
  const AccessMetrics* access_ = nullptr;
};

}  // namespace locker::server
