#pragma once

#include <cstddef>
#include <cstdint>

#include "server/http/http_server.hpp"
#include "server/locker.hpp"

namespace locker::server {

// Computes how many connections a server can have and what they can be used for, without querying
// or changing the system. All functions REQUIRE: Options::threads is not zero.

/// Returns how many file descriptors a server needs for all the connections that its options allow.
[[nodiscard]] std::uint64_t descriptors_wanted(const HttpServer::Options& options);

/// Returns the minimum number of file descriptors that a server needs.
[[nodiscard]] std::uint64_t descriptors_min(const HttpServer::Options& options);

/// Lowers connections_max and turned_away_max to what fits into `descriptors`. REQUIRES:
/// `descriptors` is at least descriptors_min().
void limit_connections(std::uint64_t descriptors, HttpServer::Options& options);

/// Limits waiters and event readers, each of which occupies a connection. An eighth of the
/// connections is reserved for clients that renew, release, look and force: without them, nobody
/// could end what the others wait for. Event readers get at most another eighth.
void share_connections(std::size_t connections, Locker::Options& options);

}  // namespace locker::server
