#pragma once

#include <memory>

#include <boost/system/result.hpp>

#include "core/error.hpp"
#include "server/http/tls_context.hpp"

namespace locker::server {

/// The certificate that lockerd's options ask for: says what it is in the log, and reads it again
/// when it is told to. Not thread-safe; what it hands out is.
class TlsSetup {
 public:
  [[nodiscard]] static boost::system::result<TlsSetup, core::Fault> open(
      const TlsContext::Files& files);

  /// Null: without TLS.
  [[nodiscard]] std::shared_ptr<const TlsContext> context() const { return context_; }
  /// Takes the files as they are now, if there is no mistake in them.
  void reload();

 private:
  TlsSetup() = default;
  void report() const;

  std::shared_ptr<TlsContext> context_;
};

}  // namespace locker::server
