#pragma once

#include "client/library/lock.hpp"

namespace locker::client {

/// Asks again, for so long, while the server is away, as when it is restarted; says so once.
[[nodiscard]] Result<Reply> call_patiently(const ServerAddress& server, const Call& request,
                                           milliseconds patience);

}  // namespace locker::client
