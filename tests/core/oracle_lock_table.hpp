#pragma once

#include <optional>
#include <string>
#include <vector>

#include "core/lock_table.hpp"

namespace locker::core {

/// The lock rules on a flat list that is searched from one end to the other: obviously right, and
/// the reference for the real table.
class OracleLockTable {
 public:
  struct Held {
    LockId id;
    Token token;
    Shape shape;
    std::string path;  // packed
  };

  [[nodiscard]] std::optional<LockId> blocker(const AcquireRequest& request) const;
  [[nodiscard]] bool holds_clash(const Token& token, PathView path, const Shape& shape) const;
  void grant(const Held& held) { held_.push_back(held); }
  void end(LockId id);
  [[nodiscard]] const std::vector<Held>& held() const { return held_; }

 private:
  std::vector<Held> held_;
};

}  // namespace locker::core
