#pragma once

#include <memory>
#include <optional>
#include <string>

#include <boost/system/result.hpp>

#include "core/error.hpp"
#include "server/access/audit_log.hpp"
#include "server/access/key_ring.hpp"
#include "server/gate/gate.hpp"

namespace locker::server {

/// The keys and the audit log that lockerd's options name, and their reload. Not thread-safe, but
/// the objects it hands out are.
class AccessSetup {
 public:
  struct Options {
    std::string keys;       ///< A file; empty: none.
    std::string audit_log;  ///< A file; empty: none.
  };
  [[nodiscard]] static boost::system::result<std::unique_ptr<AccessSetup>, core::Fault> open(
      const Options& options);

  /// False if there are neither keys nor an audit log; then no gate is needed.
  [[nodiscard]] bool is_wanted() const { return has_keys() || audit_; }
  [[nodiscard]] bool has_keys() const { return !options_.keys.empty(); }
  /// This object and both arguments must outlive the gate.
  [[nodiscard]] std::unique_ptr<Gate> make_gate(RequestHandler& inner, LockService& service);
  [[nodiscard]] AccessMetrics& metrics() { return metrics_; }
  /// Reads the key file again, keeping the old keys if there is a mistake in it, and reopens the
  /// audit log.
  void reload();

 private:
  explicit AccessSetup(Options options) : options_(std::move(options)) {}
  [[nodiscard]] std::optional<core::Fault> load_keys();
  void warn_of_writers() const;
  void report_keys();

  const Options options_;
  AccessMetrics metrics_;
  KeyRing keys_;
  std::unique_ptr<AuditLog> audit_;
};

}  // namespace locker::server
