#pragma once

#include "server/prometheus/prometheus_text.hpp"

namespace locker::server {

/// Writes what the system reports about this process, under the names that Prometheus' own clients
/// use. Leaves out what is not available.
void write_process_metrics(PrometheusText& text);

}  // namespace locker::server
