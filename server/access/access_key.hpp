#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "core/access_rule.hpp"
#include "core/sha256.hpp"

namespace locker::server {

/// A key as the server knows it: not the key itself, but its hash.
struct AccessKey {
  std::string name;
  core::Sha256 digest{};
  std::vector<core::AccessRule> rules;
  std::uint64_t number = 0;  ///< Of these rules of this key: no two in a KeyRing ever had the same.

  [[nodiscard]] bool may(core::Right right, core::PathView path) const {
    return core::is_allowed(rules, right, path);
  }
};

/// On whose behalf a request is carried out.
struct Caller {
  std::shared_ptr<const AccessKey> key;  ///< Null: there are no keys, everybody may everything.
  bool is_audited = false;               ///< Who carries it out fills in Response::audit.
};

}  // namespace locker::server
