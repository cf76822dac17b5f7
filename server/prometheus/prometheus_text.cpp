#include "server/prometheus/prometheus_text.hpp"

#include <charconv>
#include <cmath>

namespace locker::server {
namespace {

std::string_view name_of(PrometheusText::Type type) {
  switch (type) {
    case PrometheusText::Type::counter:
      return "counter";
    case PrometheusText::Type::gauge:
      return "gauge";
    case PrometheusText::Type::histogram:
      break;
  }
  return "histogram";
}

/// Returns the shortest text that reads as the same number.
std::string text_of(double value) {
  if (std::isnan(value)) return "NaN";
  if (std::isinf(value)) return value > 0 ? "+Inf" : "-Inf";
  char digits[32];
  const auto end = std::to_chars(std::begin(digits), std::end(digits), value);
  return {digits, end.ptr};
}

void append_escaped(std::string_view text, bool with_quotes, std::string& out) {
  for (const char c : text) {
    if (c == '\\') {
      out += "\\\\";
    } else if (c == '\n') {
      out += "\\n";
    } else if (c == '"' && with_quotes) {
      out += "\\\"";
    } else {
      out += c;
    }
  }
}

}  // namespace

void PrometheusText::begin_family(std::string_view name, Type type, std::string_view help) {
  name_ = name;
  out_ += "# HELP ";
  out_ += name;
  out_ += ' ';
  append_escaped(help, false, out_);
  out_ += "\n# TYPE ";
  out_ += name;
  out_ += ' ';
  out_ += name_of(type);
  out_ += '\n';
}

void PrometheusText::add(std::uint64_t value, Labels labels) {
  append_name("", labels, "");
  append_line_end(value);
}

void PrometheusText::add(double value, Labels labels) {
  append_name("", labels, "");
  append_line_end(value);
}

void PrometheusText::add_histogram(std::span<const std::uint64_t> counts, std::uint64_t sum,
                                   std::span<const std::uint64_t> bounds, double unit,
                                   Labels labels) {
  std::uint64_t up_to = 0;
  for (std::size_t at = 0; at < counts.size(); ++at) {
    up_to += counts[at];
    append_name("_bucket", labels,
                at < bounds.size() ? text_of(static_cast<double>(bounds[at]) / unit) : "+Inf");
    append_line_end(up_to);
  }
  append_name("_sum", labels, "");
  append_line_end(static_cast<double>(sum) / unit);
  append_name("_count", labels, "");
  append_line_end(up_to);
}

void PrometheusText::append_name(std::string_view suffix, Labels labels, std::string_view bound) {
  out_ += name_;
  out_ += suffix;
  bool is_first = true;
  for (const auto& [name, value] : labels) {
    append_label(name, value, is_first);
    is_first = false;
  }
  if (!bound.empty()) {
    append_label("le", bound, is_first);
    is_first = false;
  }
  if (!is_first) out_ += '}';
}

void PrometheusText::append_label(std::string_view name, std::string_view value, bool is_first) {
  out_ += is_first ? '{' : ',';
  out_ += name;
  out_ += "=\"";
  append_escaped(value, true, out_);
  out_ += '"';
}

void PrometheusText::append_line_end(std::uint64_t value) {
  out_ += ' ';
  out_ += std::to_string(value);
  out_ += '\n';
}

void PrometheusText::append_line_end(double value) {
  out_ += ' ';
  out_ += text_of(value);
  out_ += '\n';
}

}  // namespace locker::server
