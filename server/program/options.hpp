#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <variant>
#include <vector>

#include "server/http/http_limits.hpp"
#include "server/http/tls_context.hpp"
#include "server/locker.hpp"
#include "server/program/access_setup.hpp"

namespace locker::server {

/// What lockerd is told: on the command line, else in the environment (LOCKER_PORT for --port),
/// else in the config file (port = …), else the default that stands here.
struct Options {
  std::string ip = "127.0.0.1";
  std::uint16_t port = 8765;
  unsigned threads = 0;  ///< 0: one for each core.
  std::size_t connections_max = 10'000;
  /// HttpLimits::buffered_max; no option, but what the cgroup leaves.
  std::size_t buffered_max = HttpLimits{}.buffered_max;
  Locker::Options store;
  AccessSetup::Options access;
  TlsContext::Files tls;
  std::string log_level = "info";
  bool log_json = false;
  /// Variables of the environment that look like an option's, and are none's: perhaps mistyped.
  std::vector<std::string> unknown_variables = {};
};

/// Text to print instead of running: to stdout when the exit code is 0, else to stderr, or into a
/// log of JSON if there is to be one.
struct Farewell {
  std::string text;
  int exit_code = 0;
  bool log_json = false;
};

/// Reads all three places and checks every value.
[[nodiscard]] std::variant<Options, Farewell> read_options(int argc, const char* const* argv);

}  // namespace locker::server
