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

/// What a request needs of its key.
struct RequiredAccess {
  enum class Who : std::uint8_t {
    anybody,    ///< No key at all.
    any_key,    ///< A good key; `at`, `somewhere` and `lease` say more.
    admin_only  ///< No known call: for all but an administrator's key it is not there.
  };
  struct At {
    core::Right right = core::Right::read;
    std::string packed_path;
  };

  Who who = Who::any_key;
  std::string_view action = "other";  ///< For the audit log.
  std::vector<At> at;                 ///< Each of them.
  std::optional<core::Right> somewhere;
  /// The right is needed wherever this lease holds something: a token alone shall not reach beyond
  /// the rules.
  std::optional<core::Token> lease;
  core::Right lease_right = core::Right::lock;
  bool wants_prefix = false;         ///< The paths can be narrowed by a parameter `prefix`.
  bool is_legacy_call = false;       ///< Its errors look as those of the 1.0b calls.
  std::optional<core::Fault> fault;  ///< What is asked cannot be read; nothing else is known then.
};

/// The table of all calls. A call that is not in it is not reachable with a key but an
/// administrator's: whoever adds a call has to add it here. Reads the request by the same functions
/// as those who carry it out.
[[nodiscard]] RequiredAccess required_access(const Request& request);

}  // namespace locker::server
