#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>

#include "core/lock.hpp"

namespace locker::core {

/// Why a request cannot use its token: the lease has, or waits for, something else under it.
struct TokenUse {
  enum class Parameter : std::uint8_t {
    none,  ///< That the path is in use is all.
    owner,
    ttl,
    mode,
    lock_parents,
    lock_children,
    meta,
    lock_delay,
    any,
  };
  Parameter differs = Parameter::none;       ///< What the request says in another way.
  std::optional<std::string> packed_path{};  ///< That is in use; null: it is about the lease.
  bool is_held = false;                      ///< The path is; else a request waits for it.
  // What it is now:
  std::string text{};       ///< `owner` or `meta`.
  Milliseconds duration{};  ///< `ttl` or `lock_delay`; zero: none.
  Shape shape{};
  std::size_t any = 0;  ///< Zero: all.
};

}  // namespace locker::core
