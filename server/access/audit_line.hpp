#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "server/audit_note.hpp"
#include "server/request_handler.hpp"

namespace locker::server {

/// Who asked for what.
struct AuditedRequest {
  std::optional<std::string> key;  ///< The key's name.
  Peer peer;
  std::string_view action;  ///< Of static lifetime.
  std::vector<std::string> packed_paths;
  /// The target without its query, of what could not be read further; else empty.
  std::string target;
};

/// The members of a line of the audit log, but for its time.
[[nodiscard]] std::string audit_line(const AuditedRequest& request, const AuditNote& note);

}  // namespace locker::server
