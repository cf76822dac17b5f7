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

/// The server's certificate and key, and whose certificates clients must have. TLS 1.2 and 1.3 with
/// what OpenSSL thinks is good. Thread-safe.
class TlsContext {
 public:
  /// All of them in PEM.
  struct Files {
    std::string certificate;  ///< The server's, and those between it and the root behind it.
    std::string key;          ///< Without a passphrase.
    std::string client_ca;    ///< Not empty: clients need a certificate that one of these signed.
  };
  explicit TlsContext(Files files) : files_(std::move(files)) {}
  [[nodiscard]] const Files& files() const { return files_; }

  /// Reads the files. When they are no good this says why, and everything stays as it was;
  /// otherwise new connections get what is in them now.
  [[nodiscard]] std::optional<core::Fault> load();
  /// False: load() was told of a mistake in the files, and what was in them before is still used.
  [[nodiscard]] bool is_current() const;
  /// Until when the certificate is good.
  [[nodiscard]] std::chrono::system_clock::time_point expires_at() const;
  /// For a connection that has just come. REQUIRES: load() succeeded once; the socket does not
  /// block. Throws std::bad_alloc.
  [[nodiscard]] std::unique_ptr<TlsChannel> accept(int descriptor) const;

 private:
  const Files files_;
  mutable std::mutex mutex_;
  std::shared_ptr<ssl_ctx_st> current_;
  bool is_current_ = false;
  std::chrono::system_clock::time_point expires_at_;
};

}  // namespace locker::server
