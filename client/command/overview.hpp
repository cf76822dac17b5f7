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

/// What `locker top` shows: some of the oldest waiters and locks, never all of them. The JSON is
/// that of /v1.
struct Overview {
  /// A path with waiters.
  struct Queue {
    boost::json::object state;       ///< GET /v1/locks/<path>.
    std::chrono::milliseconds wait;  ///< Of the longest waiter.
  };
  boost::json::object status;
  std::vector<Queue> queues;  ///< The longest wait first.
  boost::json::array oldest;  ///< The locks held longest.
  SteadyClock::time_point asked_at;
};

/// Asks for at most `rows` queues and locks. `client` must outlive the coroutine.
[[nodiscard]] net::awaitable<Result<Overview>> async_overview(HttpClient& client, std::size_t rows);

/// The overview as lines for a terminal. `before` is an earlier one, for the rate of changes.
[[nodiscard]] std::string text_of(const Overview& overview, const ServerAddress& server,
                                  const std::optional<Overview>& before);

}  // namespace locker::client
