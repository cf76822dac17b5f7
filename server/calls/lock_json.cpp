#include "server/calls/lock_json.hpp"

#include <algorithm>
#include <array>
#include <cstdio>

#include "core/url_path.hpp"
#include "server/json_text.hpp"

namespace locker::server {
namespace {

using core::LockInfo;

std::optional<core::Duration> remaining(const LockInfo& info, const core::Now& now) {
  if (!info.expires) return std::nullopt;
  return std::max(*info.expires - now.instant, core::Duration{0});
}

/// Replaces characters that a terminal could interpret as commands by blanks: C0, DEL, and C1,
/// which has two bytes in UTF-8.
std::string one_line(std::string text) {
  for (std::size_t at = 0; at < text.size(); ++at) {
    const auto byte = static_cast<unsigned char>(text[at]);
    if (byte < 0x20 || byte == 0x7F) text[at] = ' ';
    const bool has_next = at + 1 < text.size();
    if (byte == 0xC2 && has_next && static_cast<unsigned char>(text[at + 1]) < 0xA0) {
      text[at] = text[at + 1] = ' ';
    }
  }
  return text;
}

/// Returns the number of UTF-8 characters, not bytes.
std::size_t width_of(std::string_view text) {
  return static_cast<std::size_t>(std::count_if(text.begin(), text.end(), [](char c) {
    return (static_cast<unsigned char>(c) & 0xC0U) != 0x80U;
  }));
}

std::string short_text(core::Duration duration) {
  const auto seconds = std::chrono::duration_cast<std::chrono::seconds>(duration).count();
  char text[32];
  if (seconds < 60) {
    std::snprintf(text, sizeof text, "%.1fs", static_cast<double>(duration.count()) / 1e6);
  } else if (seconds < 3'600) {
    std::snprintf(text, sizeof text, "%lldm%02llds", static_cast<long long>(seconds / 60),
                  static_cast<long long>(seconds % 60));
  } else {
    std::snprintf(text, sizeof text, "%lldh%02lldm", static_cast<long long>(seconds / 3'600),
                  static_cast<long long>(seconds / 60 % 60));
  }
  return text;
}

void append_meta(std::string_view meta, std::string& out) {
  out += R"(, "meta": )";
  if (meta.empty()) {
    out += "null";
  } else {
    append_json_string(meta, out);
  }
}

}  // namespace

void append_milliseconds(std::optional<core::Duration> duration, std::string& out) {
  if (!duration) {
    out += "null";
    return;
  }
  append_number(static_cast<std::uint64_t>(duration->count() / 1000), out);
}

void append_number_or_null(std::uint64_t number, std::string& out) {
  if (number != 0) {
    append_number(number, out);
  } else {
    out += "null";
  }
}

void append_ttl(core::Milliseconds ttl, std::string& out) {
  out += R"("ttl_ms": )";
  append_number_or_null(ttl.count(), out);
  out += R"(, "expires_in_ms": )";
  append_number_or_null(ttl.count(), out);
}

void append_shape(const core::Shape& shape, std::string& out) {
  out += R"("mode": ")";
  out += name_of(shape.mode);
  out += R"(", "lock_parents": )";
  out += shape.lock_parents ? "true" : "false";
  out += R"(, "lock_children": )";
  out += shape.lock_children ? "true" : "false";
}

core::Duration age_of(const LockInfo& info, const core::Now& now) {
  if (info.state == LockInfo::State::waiting) {
    return std::max(now.instant - info.waiting_since, core::Duration{0});
  }
  return core::Duration{now.wall > info.fence ? static_cast<std::int64_t>(now.wall - info.fence)
                                              : 0};
}

std::string_view name_of(LockInfo::State state) {
  switch (state) {
    case LockInfo::State::held:
      return "held";
    case LockInfo::State::cooling:
      return "cooling";
    case LockInfo::State::waiting:
      return "waiting";
  }
  return "";
}

std::string_view name_of(core::Mode mode) {
  switch (mode) {
    case core::Mode::exclusive:
      return "exclusive";
    case core::Mode::shared:
      return "shared";
  }
  return "";
}

void append_lock(const LockInfo& info, const core::Now& now, std::string& out) {
  out += R"({"path": )";
  append_path(info.packed_path, out);
  out += R"(, "owner": )";
  append_owner(info.owner, out);
  out += ", ";
  append_shape(info.shape, out);
  out += R"(, "fence": )";
  append_number(info.fence, out);
  out += R"(, "state": ")";
  out += name_of(info.state);
  out += R"(", "held_ms": )";
  append_milliseconds(age_of(info, now), out);
  out += R"(, "ttl_ms": )";
  append_number_or_null(info.ttl.count(), out);
  out += R"(, "expires_in_ms": )";
  append_milliseconds(remaining(info, now), out);
  append_meta(info.meta, out);
  out += '}';
}

void append_waiter(const LockInfo& info, const core::Now& now, std::size_t place,
                   std::string& out) {
  out += R"({"path": )";
  append_path(info.packed_path, out);
  out += R"(, "owner": )";
  append_owner(info.owner, out);
  out += ", ";
  append_shape(info.shape, out);
  out += R"(, "state": "waiting", "connected": )";
  out += info.is_kept ? "false" : "true";
  out += R"(, "waiting_ms": )";
  append_milliseconds(age_of(info, now), out);
  if (place != 0) {
    out += R"(, "place": )";
    append_number(place, out);
  }
  append_meta(info.meta, out);
  out += '}';
}

void append_blockers(const std::vector<LockInfo>& blockers, const core::Now& now,
                     std::string& out) {
  out += '[';
  for (const LockInfo& info : blockers) {
    if (&info != &blockers.front()) out += ", ";
    out += R"({"path": )";
    append_path(info.packed_path, out);
    out += R"(, "owner": )";
    append_owner(info.owner, out);
    out += R"(, "mode": ")";
    out += name_of(info.shape.mode);
    out += R"(", "fence": )";
    append_number_or_null(info.fence, out);
    out += R"(, "state": ")";
    out += name_of(info.state);
    out += R"(", "held_ms": )";
    append_milliseconds(age_of(info, now), out);
    out += R"(, "expires_in_ms": )";
    append_milliseconds(remaining(info, now), out);
    out += '}';
  }
  out += ']';
}

std::string text_table(const std::vector<LockInfo>& infos, const core::Now& now) {
  constexpr std::size_t columns = 8;
  constexpr std::size_t aligned_max = 64;  // so that one long path does not widen every line
  std::vector<std::array<std::string, columns>> rows{
      {"PATH", "OWNER", "MODE", "STATE", "SINCE", "EXPIRES", "FENCE", "META"}};
  for (const LockInfo& info : infos) {
    std::string path;
    core::append_url_path(core::PathView{info.packed_path}, path);
    const auto left = remaining(info, now);
    rows.push_back({path, info.owner.empty() ? "?" : info.owner,
                    std::string{name_of(info.shape.mode)},
                    info.is_kept ? "kept" : std::string{name_of(info.state)},
                    short_text(age_of(info, now)), left ? short_text(*left) : "-",
                    info.fence == 0 ? "-" : std::to_string(info.fence), one_line(info.meta)});
  }
  std::array<std::size_t, columns> widths{};
  for (const auto& row : rows) {
    for (std::size_t i = 0; i < columns; ++i) {
      const std::size_t width = width_of(row[i]);
      if (width <= aligned_max) widths[i] = std::max(widths[i], width);
    }
  }
  std::string text;
  for (const auto& row : rows) {
    std::string line;
    for (std::size_t i = 0; i < columns; ++i) {
      line += row[i];
      if (i + 1 == columns) break;
      const std::size_t width = width_of(row[i]);
      line.append(std::max(widths[i], width) - width + 2, ' ');
    }
    line.erase(line.find_last_not_of(' ') + 1);
    text += line + "\n";
  }
  return text;
}

}  // namespace locker::server
