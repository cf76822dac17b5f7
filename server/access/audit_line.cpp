#include "server/access/audit_line.hpp"

#include <algorithm>
#include <cstddef>
#include <utility>

#include "core/url_path.hpp"
#include "server/json_text.hpp"

namespace locker::server {
namespace {

// A refused request costs its sender nothing, often not even a key, and can name many long paths:
// only the first few are written, each truncated.
constexpr std::size_t refused_paths_max = 4;
constexpr std::size_t refused_bytes_max = 256;

std::string_view name_of(AuditOutcome outcome) {
  switch (outcome) {
    case AuditOutcome::granted:
      return "granted";
    case AuditOutcome::released:
      return "released";
    case AuditOutcome::forced:
      return "forced";
    case AuditOutcome::not_held:
      return "not_held";
    case AuditOutcome::refused_busy:
      return "refused_busy";
    case AuditOutcome::taken_back:
      return "taken_back";
    case AuditOutcome::refused_401:
      return "refused_401";
    case AuditOutcome::refused_403:
      return "refused_403";
  }
  return "";
}

bool is_refusal(const AuditNote& note) {
  return note.outcome == AuditOutcome::refused_401 || note.outcome == AuditOutcome::refused_403;
}

/// Truncates a percent-encoded path or target.
std::string shortened(std::string text) {
  if (text.size() <= refused_bytes_max) return text;
  text.resize(refused_bytes_max);
  const std::size_t percent = text.rfind('%');
  if (percent != std::string::npos && text.size() - percent < 3) text.resize(percent);
  return text + "…";
}

void append_refused(const std::vector<std::string>& packed_paths, std::string& out) {
  const std::size_t shown = std::min(packed_paths.size(), refused_paths_max);
  for (std::size_t at = 0; at < shown; ++at) {
    std::string path;
    core::append_url_path(core::PathView{packed_paths[at]}, path);
    if (at != 0) out += ", ";
    append_json_string(shortened(std::move(path)), out);
  }
}

void append_text(std::string_view name, std::string_view text, std::string& out) {
  out += ", \"";
  out += name;
  out += "\": ";
  append_json_string(text, out);
}

void append_locks(const std::vector<AuditedLock>& locks, std::string& out) {
  out += R"(, "locks": [)";
  for (const AuditedLock& lock : locks) {
    out += &lock == &locks.front() ? R"({"path": )" : R"(, {"path": )";
    append_path(lock.packed_path, out);
    out += R"(, "owner": )";
    append_owner(lock.owner, out);
    out += R"(, "fence": )" + std::to_string(lock.fence) + "}";
  }
  out += ']';
}

}  // namespace

std::string audit_line(const AuditedRequest& request, const AuditNote& note) {
  std::string line = R"("key": )";
  if (request.key) {
    append_json_string(*request.key, line);
  } else {
    line += "null";
  }
  append_text("peer", request.peer.address, line);
  if (!request.peer.certificate.empty()) {
    append_text("certificate", request.peer.certificate, line);
  }
  append_text("action", request.action, line);
  const auto& paths = note.packed_paths.empty() ? request.packed_paths : note.packed_paths;
  line += R"(, "paths": [)";
  if (is_refusal(note)) {
    append_refused(paths, line);
  } else {
    for (const std::string& path : paths) {
      if (&path != &paths.front()) line += ", ";
      append_path(path, line);
    }
  }
  line += ']';
  if (!request.target.empty()) append_text("target", shortened(request.target), line);
  if (note.owner) {
    line += R"(, "owner": )";
    append_owner(*note.owner, line);
  }
  if (note.fence != 0) line += R"(, "fence": )" + std::to_string(note.fence);
  append_text("outcome", name_of(note.outcome), line);
  if (note.count) line += R"(, "count": )" + std::to_string(*note.count);
  if (is_refusal(note) && paths.size() > refused_paths_max) {
    line += R"(, "count": )" + std::to_string(paths.size());
  }
  if (!note.locks.empty()) append_locks(note.locks, line);
  if (!note.reason.empty()) append_text("reason", note.reason, line);
  if (note.left_out != 0) line += R"(, "left_out": )" + std::to_string(note.left_out);
  return line;
}

}  // namespace locker::server
