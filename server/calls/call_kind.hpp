#pragma once

#include <string_view>

#include "server/request_handler.hpp"
#include "server/request_target.hpp"

namespace locker::server {

/// What metrics call this kind of call; of static lifetime.
[[nodiscard]] std::string_view name_of(CallKind call);

/// Which call this is: for who carries it out, who asks what it needs of a key, and metrics. A
/// method that there is not for its path counts as one that reads, so each of those asks for it. A
/// forced end of one path is a release here; who reads its parameters sets it right.
[[nodiscard]] CallKind call_of(const RequestTarget& target, Method method);

/// "/a/b" of "/v1/locks/a/b", still encoded. REQUIRES: call_of() is acquire, release or look.
[[nodiscard]] std::string_view path_of_lock(const RequestTarget& target);

}  // namespace locker::server
