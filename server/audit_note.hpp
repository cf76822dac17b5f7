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
  not_held,      ///< A forced end that no lock fitted.
  refused_busy,  ///< A forced end that stopped amid what it was to end.
  taken_back,    ///< A grant that nobody was told of.
  refused_401,
  refused_403,
};

/// What the audit log says of something that was done, beside who asked for it.
struct AuditNote {
  AuditOutcome outcome = AuditOutcome::granted;
  std::vector<std::string> packed_paths;  ///< Empty: those that were asked for.
  std::optional<std::string> owner;
  std::uint64_t fence = 0;  ///< Zero: none.
  std::optional<std::size_t> count;
  std::vector<AuditedLock> locks;  ///< Of an end of several: the first audited_locks_max of them.
  std::string reason;
  std::uint64_t left_out = 0;  ///< Lines of this outcome that were not written before this one.
};

}  // namespace locker::server
