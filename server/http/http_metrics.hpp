#pragma once

#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <mutex>
#include <optional>
#include <vector>

#include "server/http/shared_count.hpp"
#include "server/http/tls_context.hpp"
#include "server/prometheus/histogram.hpp"
#include "server/request_handler.hpp"

namespace locker::server {

/// Statuses by their first digit, 1 to 5.
inline constexpr std::size_t status_classes = 5;

/// The counters of one worker. Only its thread adds. They share no cache line with another
/// worker's.
class alignas(128) WorkerMetrics {
 public:
  void count_answer(CallKind call, unsigned status) {
    const std::size_t status_class = status / 100 - 1;
    if (status_class < status_classes) answers[index_of(call)][status_class].add();
  }
  void add_duration(CallKind call, std::chrono::nanoseconds took, std::uint64_t times) {
    durations[index_of(call)].add(static_cast<std::uint64_t>(took.count()), times);
  }

  std::array<std::array<Counter, status_classes>, call_count> answers;
  std::array<DurationHistogram, call_count> durations;
  Counter accepted;
  Counter made_way;
  Counter turned_away;
  Counter tls_failed;
};

/// The counters of all workers, including those that have ended. Thread-safe.
class HttpMetrics {
 public:
  /// Returns the counters for one more worker.
  [[nodiscard]] std::shared_ptr<WorkerMetrics> add_worker();
  /// Sets what all workers share; totals() reads the current values.
  void watch(std::shared_ptr<const SharedCount> connections,
             std::shared_ptr<const SharedCount> buffered, std::shared_ptr<const TlsContext> tls);

  struct Totals {
    std::array<std::array<std::uint64_t, status_classes>, call_count> answers{};
    std::array<DurationHistogram::Counts, call_count> durations{};
    std::uint64_t accepted = 0;
    std::uint64_t made_way = 0;
    std::uint64_t turned_away = 0;
    std::uint64_t tls_failed = 0;
    std::uint64_t connections = 0;
    std::uint64_t buffered_bytes = 0;
    std::optional<std::chrono::system_clock::time_point> certificate_expires_at;
    bool tls_is_current = true;  ///< False: the last reload of the TLS files failed.
  };
  [[nodiscard]] Totals totals() const;

 private:
  mutable std::mutex mutex_;
  std::vector<std::shared_ptr<WorkerMetrics>> workers_;
  std::shared_ptr<const SharedCount> connections_;
  std::shared_ptr<const SharedCount> buffered_;
  std::shared_ptr<const TlsContext> tls_;
};

}  // namespace locker::server
