#pragma once

#include <cstdint>
#include <memory>
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

/// The client on whose behalf a request is carried out.
struct Caller {
  std::shared_ptr<const AccessKey> key;  ///< Null without --keys: everything is permitted.
  bool is_audited = false;               ///< The handler has to fill in Response::audit.
};

}  // namespace locker::server
