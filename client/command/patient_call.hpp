#pragma once

#include "client/library/lock.hpp"

namespace locker::client {

/// For a release: a server that is restarted is back by then, and may have made room on its disk.
constexpr milliseconds release_patience{5'000};

/// Asks again, for so long, while the server is away, as when it is restarted, or its disk is full;
/// says so once. Each time `timeout` is for an answer.
[[nodiscard]] Result<Reply> call_patiently(const ServerAddress& server, const Call& request,
                                           milliseconds patience,
                                           milliseconds timeout = milliseconds{10'000});

}  // namespace locker::client
