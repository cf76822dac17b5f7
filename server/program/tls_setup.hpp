#pragma once

#include <memory>

#include <boost/system/result.hpp>

#include "core/error.hpp"
#include "server/http/tls_context.hpp"

namespace locker::server {

/// The certificate that lockerd's options name: logs until when it is valid, and reloads it. Not
/// thread-safe, but the context it hands out is.
class TlsSetup {
 public:
  [[nodiscard]] static boost::system::result<TlsSetup, core::Fault> open(
      const TlsContext::Files& files);

  /// Returns null without TLS.
  [[nodiscard]] std::shared_ptr<const TlsContext> context() const { return context_; }
  /// Reads the files again, keeping the old certificate if there is a mistake in them.
  void reload();

 private:
  TlsSetup() = default;
  void report() const;

  std::shared_ptr<TlsContext> context_;
};

}  // namespace locker::server
