#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include <boost/system/result.hpp>

#include "core/error.hpp"
#include "core/path.hpp"

namespace locker::core {

/// What a key may do. Every right includes `read` on the same paths; `admin` includes all rights.
enum class Right : std::uint8_t { read, lock, force, admin };

[[nodiscard]] std::string_view name_of(Right right);

/// A right on one path and everything below it.
struct AccessRule {
  Right right = Right::read;
  std::string packed_path;
};

/// Parses a right and a path, as in `lock` and `/ci`. The path must be in the server's canonical
/// spelling, because people compare the two.
[[nodiscard]] boost::system::result<AccessRule, Fault> parse_access_rule(std::string_view right,
                                                                         std::string_view path);

/// Whether the rules grant `right` at `path` (and therefore at everything below it).
[[nodiscard]] bool is_allowed(const std::vector<AccessRule>& rules, Right right, PathView path);

/// Whether this is a valid key name: 1 to 64 letters, digits, `.`, `_` or `-`.
[[nodiscard]] bool is_key_name(std::string_view name);

}  // namespace locker::core
