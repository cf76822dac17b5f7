#pragma once

#include <chrono>
#include <cstddef>
#include <optional>
#include <string>
#include <vector>

#include <boost/asio/awaitable.hpp>
#include <boost/json/array.hpp>
#include <boost/json/object.hpp>

#include "client/library/http_client.hpp"

namespace locker::client {

/// What `locker top` shows: some of the oldest waiters and locks, never all of them. The answers
/// are those of /v1.
struct Overview {
  /// A path that is waited for.
  struct Queue {
    boost::json::object state;       ///< GET /v1/locks/<path>.
    std::chrono::milliseconds wait;  ///< Of the one that has waited longest.
  };
  boost::json::object status;
  std::vector<Queue> queues;  ///< Those that began to wait first, first.
  boost::json::array oldest;  ///< The locks that are held longest.
  SteadyClock::time_point asked_at;
};

/// Asks for at most `rows` of each. `client` outlives it.
[[nodiscard]] net::awaitable<Result<Overview>> async_overview(HttpClient& client, std::size_t rows);

/// For a terminal, in lines. `before` is an earlier one, for what happens in a second.
[[nodiscard]] std::string text_of(const Overview& overview, const ServerAddress& server,
                                  const std::optional<Overview>& before);

}  // namespace locker::client
