#pragma once

#include "client/library/lock.hpp"

namespace locker::client {

/// For a release: a restarted server is back by then, and a full disk may have room again.
constexpr milliseconds release_patience{5'000};

/// Makes a call, and retries it for `patience` while the server is away, such as during a restart,
/// or its disk is full; prints that once. `timeout` bounds each attempt.
[[nodiscard]] Result<Reply> call_patiently(const ServerAddress& server, const Call& request,
                                           milliseconds patience,
                                           milliseconds timeout = milliseconds{10'000});

}  // namespace locker::client
