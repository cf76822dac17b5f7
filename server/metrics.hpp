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

/// What /metrics says. No label has a path or an owner as its value, so that there are as many
/// lines whatever is locked. Thread-safe.
class Metrics {
 public:
  /// All of them must outlive this.
  Metrics(LockService& service, const GroupCommit& commit, const persistence::LocalJournal& journal,
          const HttpMetrics& http)
      : service_(service), commit_(commit), journal_(journal), http_(http) {}

  /// From now on these are shown too. They must outlive this. Before anybody asks.
  void show(const AccessMetrics& access) { access_ = &access; }
  /// Appends all of it in Prometheus' text format. Waits for no sync.
  void write(std::string& out) const;
  /// For how long the disk has not answered; zero: it is not waited for. Takes no lock.
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
