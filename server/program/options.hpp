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

/// lockerd's options: from the command line, else from the environment (LOCKER_PORT for --port),
/// else from the config file (port = …), else the defaults given here.
struct Options {
  std::string ip = "127.0.0.1";
  std::uint16_t port = 8765;
  unsigned threads = 0;  ///< 0: one per core.
  std::size_t connections_max = 10'000;
  /// HttpLimits::buffered_max. Not an option, but derived from the limit of the cgroup.
  std::size_t buffered_max = HttpLimits{}.buffered_max;
  Locker::Options store;
  AccessSetup::Options access;
  TlsContext::Files tls;
  std::string log_level = "info";
  bool log_json = false;
  /// Environment variables that look like options but are none, perhaps because they are mistyped.
  std::vector<std::string> unknown_variables = {};
};

/// Text to print instead of running: to stdout if the exit code is 0, otherwise to stderr, or as a
/// line of the JSON log if that was asked for.
struct Farewell {
  std::string text;
  int exit_code = 0;
  bool log_json = false;
};

/// Reads all three sources and checks every value.
[[nodiscard]] std::variant<Options, Farewell> read_options(int argc, const char* const* argv);

}  // namespace locker::server
