#pragma once

#include <cstddef>
#include <cstdint>

#include "server/http/http_server.hpp"
#include "server/locker.hpp"

namespace locker::server {

// How many connections a server can have, and what they can be used for: arithmetic, which neither
// asks the system nor changes anything of it. REQUIRES, of all: Options::threads is not zero.

/// File descriptors of a server with all the connections that these options let it have.
[[nodiscard]] std::uint64_t descriptors_wanted(const HttpServer::Options& options);

/// With fewer it is no server.
[[nodiscard]] std::uint64_t descriptors_min(const HttpServer::Options& options);

/// Takes connections_max and turned_away_max down to what fits into so many descriptors.
/// REQUIRES: these are descriptors_min() at least.
void limit_connections(std::uint64_t descriptors, HttpServer::Options& options);

/// Who waits and who follows events has a connection each. An eighth of them is left for those who
/// renew, release, look and force, else nobody could do what is waited for; and no more than
/// another eighth is for events.
void share_connections(std::size_t connections, Locker::Options& options);

}  // namespace locker::server
