#pragma once

#include <string>
#include <string_view>

#include "client/library/failure.hpp"

namespace locker::client {

/// Where a lock server is, and who asks it.
struct ServerAddress {
  std::string host = "127.0.0.1";
  std::string port = "8765";
  std::string base =
      {};  ///< A path before all others, when it is behind a proxy; no slash at the end.
  std::string key = {};  ///< Sent as `Authorization: Bearer`, when not empty. A secret.

  [[nodiscard]] std::string host_field() const;
};

/// Reads "http://host:port/base"; without a port it is 80, as in every URL. https is refused: let a
/// proxy on this machine speak it.
[[nodiscard]] Result<ServerAddress> parse_server_address(std::string_view url);

}  // namespace locker::client
