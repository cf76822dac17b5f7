#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "core/access_rule.hpp"
#include "core/sha256.hpp"

namespace locker::server {

/// A key as the server knows it: by its hash, not the key itself.
struct AccessKey {
  std::string name;
  core::Sha256 digest{};
  std::vector<core::AccessRule> rules;
  std::uint64_t number = 0;  ///< Of this key with these rules; never reused in a KeyRing.

  [[nodiscard]] bool may(core::Right right, core::PathView path) const {
    return core::is_allowed(rules, right, path);
  }
};

}  // namespace locker::server
