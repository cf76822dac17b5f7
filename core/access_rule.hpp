#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include <boost/system/result.hpp>

#include "core/error.hpp"
#include "core/path.hpp"

namespace locker::core {

/// What a key may do. Each of them includes `read` of the same paths; `admin` includes everything.
enum class Right : std::uint8_t { read, lock, force, admin };

[[nodiscard]] std::string_view name_of(Right right);

/// A right, and where: at this path and at everything below it.
struct AccessRule {
  Right right = Right::read;
  std::string packed_path;
};

/// Reads `lock` and `/ci`. The path is spelled as the server spells it: it is compared by people.
[[nodiscard]] boost::system::result<AccessRule, Fault> parse_access_rule(std::string_view right,
                                                                         std::string_view path);

/// Whether the rules give `right` at `path` (and thereby at everything below it).
[[nodiscard]] bool is_allowed(const std::vector<AccessRule>& rules, Right right, PathView path);

/// Letters, digits, `.`, `_` and `-`; 1 to 64 of them.
[[nodiscard]] bool is_key_name(std::string_view name);

}  // namespace locker::core
