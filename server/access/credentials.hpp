#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace locker::server {

/// Returns the key in a header Authorization: `Bearer <key>`, or the password of `Basic`, whose
/// user name is ignored. Null if there is none.
[[nodiscard]] std::optional<std::string> read_credentials(std::string_view authorization);

}  // namespace locker::server
