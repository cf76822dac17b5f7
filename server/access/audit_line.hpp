#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "server/audit_note.hpp"
#include "server/request_handler.hpp"

namespace locker::server {

/// A request as the audit log shows it.
struct AuditedRequest {
  std::optional<std::string> key;  ///< The key's name.
  Peer peer;
  std::string_view action;  ///< Has static lifetime.
  std::vector<std::string> packed_paths;
  /// The target without its query, of a refused request whose paths are not known; otherwise empty.
  std::string target;
};

/// Returns the members of a line of the audit log, without its time.
[[nodiscard]] std::string audit_line(const AuditedRequest& request, const AuditNote& note);

}  // namespace locker::server
