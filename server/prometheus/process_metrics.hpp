#pragma once

#include "server/prometheus/prometheus_text.hpp"

namespace locker::server {

/// What the system knows of this process, by the names that Prometheus' own clients use. What it
/// does not tell is left out.
void write_process_metrics(PrometheusText& text);

}  // namespace locker::server
