#pragma once

#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <span>
#include <string>
#include <string_view>
#include <utility>

#include "server/prometheus/histogram.hpp"

namespace locker::server {

/// Writes metrics in Prometheus' text format, version 0.0.4. Samples belong to the family begun
/// last.
class PrometheusText {
 public:
  static constexpr std::string_view content_type = "text/plain; version=0.0.4; charset=utf-8";
  using Labels = std::initializer_list<std::pair<std::string_view, std::string_view>>;
  enum class Type : std::uint8_t { counter, gauge, histogram };

  /// Appends to `out`, which must outlive this object.
  explicit PrometheusText(std::string& out) : out_(out) {}

  /// Begins a metric family. `name` must consist of letters, digits and underscores.
  void begin_family(std::string_view name, Type type, std::string_view help);
  void add(std::uint64_t value, Labels labels = {});
  void add(double value, Labels labels = {});
  /// Adds a histogram. Values and sum are written divided by `unit`: 1e9 turns nanoseconds into
  /// seconds.
  template <std::size_t count>
  void add(const HistogramCounts<count>& histogram, const std::array<std::uint64_t, count>& bounds,
           double unit, Labels labels = {}) {
    add_histogram(histogram.counts, histogram.sum, bounds, unit, labels);
  }

  /// Adds a family with one sample.
  template <typename Value>
  void add_one(std::string_view name, Type type, std::string_view help, Value value) {
    begin_family(name, type, help);
    add(value);
  }

 private:
  void add_histogram(std::span<const std::uint64_t> counts, std::uint64_t sum,
                     std::span<const std::uint64_t> bounds, double unit, Labels labels);
  void append_name(std::string_view suffix, Labels labels, std::string_view bound);
  void append_label(std::string_view name, std::string_view value, bool is_first);
  void append_line_end(std::uint64_t value);
  void append_line_end(double value);

  std::string& out_;
  std::string_view name_;
};

}  // namespace locker::server
