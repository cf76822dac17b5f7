#include "server/program/connection_limits.hpp"

#include <algorithm>
#include <limits>

namespace locker::server {
namespace {

/// File descriptors that are not connections. Once: those of the store, which ends the process if
/// it gets none, and of the log. Per thread: epoll, its timer and its wake-up, a listening socket,
/// a spare one, and a connection that is being accepted.
constexpr std::uint64_t descriptors_kept = 32;
constexpr std::uint64_t descriptors_of_thread = 6;
/// An eighth of them is reserved for clients that neither wait nor follow events.
constexpr std::uint64_t connections_min = 8;

std::uint64_t kept_of(const HttpServer::Options& options) {
  return descriptors_kept + descriptors_of_thread * options.threads;
}

}  // namespace

std::uint64_t descriptors_wanted(const HttpServer::Options& options) {
  constexpr std::uint64_t most = std::numeric_limits<std::uint64_t>::max() / 2;
  return std::min<std::uint64_t>(options.connections_max, most) +
         options.limits.turned_away_max * options.threads + kept_of(options);
}

std::uint64_t descriptors_min(const HttpServer::Options& options) {
  return kept_of(options) + connections_min;
}

void limit_connections(std::uint64_t descriptors, HttpServer::Options& options) {
  if (descriptors >= descriptors_wanted(options)) return;
  const std::uint64_t rest = descriptors - kept_of(options);
  std::size_t& turned_away_max = options.limits.turned_away_max;
  turned_away_max = std::min<std::size_t>(turned_away_max, rest / (8 * options.threads));
  options.connections_max =
      std::min<std::size_t>(options.connections_max, rest - turned_away_max * options.threads);
}

void share_connections(std::size_t connections, Locker::Options& options) {
  const std::size_t eighth = std::max<std::size_t>(connections / 8, 1);
  options.event_readers_max = std::min(options.event_readers_max, eighth);
  const std::size_t others = eighth + options.event_readers_max;
  std::size_t& waiters_max = options.service.limits.waiters_max;
  waiters_max = std::min(waiters_max, std::max(connections, others + 1) - others);
}

}  // namespace locker::server
