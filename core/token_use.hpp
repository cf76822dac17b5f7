#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>

#include "core/lock.hpp"

namespace locker::core {

/// Why a request cannot use its token: the lease already holds, or waits for, something different.
struct TokenUse {
  enum class Parameter : std::uint8_t {
    none,  ///< No single parameter: the path or the lease is in use as such.
    owner,
    ttl,
    mode,
    lock_parents,
    lock_children,
    meta,
    lock_delay,
    any,
  };
  Parameter differs = Parameter::none;       ///< What the request states differently.
  std::optional<std::string> packed_path{};  ///< The path in use; null: it is about the lease.
  bool is_held = false;                      ///< The path is held; else a request waits for it.
  // The current value:
  std::string text{};       ///< `owner` or `meta`.
  Milliseconds duration{};  ///< `ttl` or `lock_delay`; zero: none.
  Shape shape{};
  std::size_t any = 0;  ///< Zero: all.
};

}  // namespace locker::core
