#pragma once

#include <string>
#include <string_view>

#include "client/library/failure.hpp"

namespace locker::client {

/// The address of a lock server, and the credentials for it.
struct ServerAddress {
  std::string host = "127.0.0.1";
  std::string port = "8765";
  std::string base = {};  ///< Path prefix, when behind a proxy; no trailing slash.
  std::string key = {};   ///< API key, a secret. Sent as `Authorization: Bearer` if not empty.
  bool is_tls = false;    ///< https.
  /// Files in PEM format.
  struct Tls {
    std::string ca_file = {};  ///< CAs that may sign the server's certificate; empty: the system's.
    std::string certificate = {};  ///< Client certificate, if the server requires one.
    std::string key = {};          ///< Key of `certificate`; empty: it is in the same file.
  } tls = {};

  /// The value of the Host header.
  [[nodiscard]] std::string host_field() const;
  /// The URL, as parse_server_address() reads it.
  [[nodiscard]] std::string url() const {
    return (is_tls ? "https://" : "http://") + host_field() + base;
  }
};

/// Parses "http://host:port/base", or https. The port defaults to 80 or 443, as in every URL. Fails
/// with the code `bad_url`.
[[nodiscard]] Result<ServerAddress> parse_server_address(std::string_view url);

}  // namespace locker::client
