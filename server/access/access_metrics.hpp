#pragma once

#include <atomic>
#include <cstdint>
#include <functional>

namespace locker::server {

/// What /metrics shows of who is let in, and who is not. Any thread, but for the function, which is
/// set before anybody asks.
struct AccessMetrics {
  std::atomic<std::uint64_t> refused_401{0};
  std::atomic<std::uint64_t> refused_403{0};
  std::atomic<std::uint64_t> keys{0};
  std::atomic<std::uint64_t> keys_read_at{0};  ///< When they were read last without a mistake, in
                                               ///< seconds since 1970; 0: there are none.
  std::atomic<std::uint64_t> key_reloads_failed{0};
  std::atomic<bool> keys_are_current{true};         ///< False: the last reload failed.
  std::function<std::uint64_t()> audit_lines_lost;  ///< Empty: there is no audit log.
};

}  // namespace locker::server
