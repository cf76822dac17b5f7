#pragma once

#include <string_view>

#include "server/request_handler.hpp"

namespace locker::server {

/// What metrics call this kind of call; of static lifetime.
[[nodiscard]] std::string_view name_of(CallKind call);

/// Which call of /v1 this is. `path`: the whole target but its query, so that a forced end of one
/// path is a release here; who reads its parameters sets it right.
[[nodiscard]] CallKind call_of_v1(std::string_view path, Method method);

}  // namespace locker::server
