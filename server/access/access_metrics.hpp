#pragma once

#include <atomic>
#include <cstdint>
#include <functional>

namespace locker::server {

/// The metrics of access control. Any thread may use them, except for audit_lines_lost, which must
/// be set before the first use.
struct AccessMetrics {
  std::atomic<std::uint64_t> refused_401{0};
  std::atomic<std::uint64_t> refused_403{0};
  std::atomic<std::uint64_t> keys{0};
  std::atomic<std::uint64_t> keys_read_at{0};  ///< When they were last read without a mistake,
                                               ///< in seconds since 1970; 0 without --keys.
  std::atomic<std::uint64_t> key_reloads_failed{0};
  std::atomic<bool> keys_are_current{true};         ///< False: the last reload failed.
  std::function<std::uint64_t()> audit_lines_lost;  ///< Empty without an audit log.
};

}  // namespace locker::server
