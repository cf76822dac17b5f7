#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/access_rule.hpp"
#include "core/error.hpp"
#include "core/lock.hpp"
#include "server/request_handler.hpp"

namespace locker::server {

/// The access that a request requires.
struct RequiredAccess {
  enum class Who : std::uint8_t {
    anybody,    ///< No key needed.
    any_key,    ///< A valid key, with the rights in `at`, `somewhere` and `lease`.
    admin_only  ///< Not a known call: any key but an administrator's gets 404.
  };
  struct At {
    core::Right right = core::Right::read;
    std::string packed_path;
  };

  Who who = Who::any_key;
  std::string_view action = "other";  ///< For the audit log.
  std::vector<At> at;                 ///< All are required.
  std::optional<core::Right> somewhere;
  /// `lease_right` is required at every path that this lease holds: a token must not extend what
  /// the key permits.
  std::optional<core::Token> lease;
  core::Right lease_right = core::Right::lock;
  bool wants_prefix = false;         ///< The parameter `prefix` can narrow the paths.
  bool is_legacy_call = false;       ///< Errors have the form of the 1.0b calls.
  std::optional<core::Fault> fault;  ///< The request is malformed; the rest is incomplete then.
};

/// Returns the access that a request requires. This is the table of all calls: a call that is
/// missing here is reachable only with an administrator's key, so every new call must be added.
/// Parses the request with the same functions as the handlers.
[[nodiscard]] RequiredAccess required_access(const Request& request);

}  // namespace locker::server
