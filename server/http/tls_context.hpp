#pragma once

#include <chrono>
#include <memory>
#include <mutex>
#include <optional>
#include <string>

#include "core/error.hpp"
#include "server/http/tls_channel.hpp"

struct ssl_ctx_st;  // OpenSSL's

namespace locker::server {

/// The server's certificate and key, and the CA that clients' certificates must be signed by. TLS
/// 1.2 and 1.3, with OpenSSL's defaults. Thread-safe.
class TlsContext {
 public:
  /// All in PEM format.
  struct Files {
    std::string certificate;  ///< The server's, followed by its intermediates.
    std::string key;          ///< Without a passphrase.
    std::string client_ca;    ///< If not empty, clients need a certificate signed by one of these.
  };
  explicit TlsContext(Files files) : files_(std::move(files)) {}
  [[nodiscard]] const Files& files() const { return files_; }

  /// Reads the files. If they are unusable, returns why, and nothing changes; otherwise new
  /// connections use what is in them now.
  [[nodiscard]] std::optional<core::Fault> load();
  /// False: the last load() found a mistake in the files, and their earlier contents are still in
  /// use.
  [[nodiscard]] bool is_current() const;
  /// When the certificate expires.
  [[nodiscard]] std::chrono::system_clock::time_point expires_at() const;
  /// Sets up TLS for a new connection. REQUIRES: load() has succeeded once; the socket is
  /// non-blocking. Throws std::bad_alloc.
  [[nodiscard]] std::unique_ptr<TlsChannel> accept(int descriptor) const;

 private:
  const Files files_;
  mutable std::mutex mutex_;
  std::shared_ptr<ssl_ctx_st> current_;
  bool is_current_ = false;
  std::chrono::system_clock::time_point expires_at_;
};

}  // namespace locker::server
