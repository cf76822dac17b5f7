#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace locker::server {

inline constexpr std::size_t audited_locks_max = 100;
struct AuditedLock {
  std::string packed_path;
  std::string owner;
  std::uint64_t fence = 0;
};

enum class AuditOutcome : std::uint8_t {
  granted,
  released,
  forced,
  not_held,      ///< A force that matched no lock.
  refused_busy,  ///< A force that stopped before it had ended everything.
  taken_back,    ///< A grant that its client was never told of.
  refused_401,
  refused_403,
};

/// What the audit log says about the outcome of a request, in addition to the request itself.
struct AuditNote {
  AuditOutcome outcome = AuditOutcome::granted;
  std::vector<std::string> packed_paths;  ///< Empty: those of the request.
  std::optional<std::string> owner;
  std::uint64_t fence = 0;  ///< Zero: none.
  std::optional<std::size_t> count;
  std::vector<AuditedLock> locks;  ///< Ended by one request; the first audited_locks_max.
  std::string reason;
  std::uint64_t left_out = 0;  ///< Lines with this outcome left out before this one.
};

}  // namespace locker::server
