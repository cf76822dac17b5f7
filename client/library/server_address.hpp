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
  bool is_tls = false;   ///< https.
  /// All files in PEM.
  struct Tls {
    std::string ca_file = {};  ///< Who may have signed its certificate; empty: the system's CAs.
    std::string certificate = {};  ///< Ours, if the server wants one.
    std::string key = {};          ///< Of ours; empty: it is in the same file.
  } tls = {};

  [[nodiscard]] std::string host_field() const;
  /// What parse_server_address() reads.
  [[nodiscard]] std::string url() const {
    return (is_tls ? "https://" : "http://") + host_field() + base;
  }
};

/// Reads "http://host:port/base", or https; without a port it is 80 or 443, as in every URL.
[[nodiscard]] Result<ServerAddress> parse_server_address(std::string_view url);

}  // namespace locker::client
