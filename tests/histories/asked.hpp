#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "tests/histories/history.hpp"

namespace locker::histories {

/// Who asked for what: the operations about each lease, in the order of their sending.
class Asked {
 public:
  explicit Asked(const History& history);

  using Operations = std::vector<const Operation*>;
  /// Empty for one that nobody used.
  [[nodiscard]] const Operations& about(std::string_view owner) const;
  /// What a grant tells of its request.
  struct Grant {
    std::string_view owner;
    Wanted lock;
    std::string_view meta;
    std::int64_t lock_delay_ms = 0;
    Fence fence = 0;
    /// A request that was sent until then may have left out the meta and the lock-delay: they are
    /// those of a lock that its lease held there.
    Nanoseconds inherits_until = 0;
  };
  struct Request {
    const Operation* first = nullptr;  ///< Of those that it can be the answer to; null: none.
    bool can_have_waited = false;
  };
  [[nodiscard]] Request find_request(const Grant& grant) const;
  /// Whether all that was asked about the lease before was answered before this was sent, so that
  /// nothing else can have happened to it meanwhile by its own client's doing.
  [[nodiscard]] bool is_undisturbed(const Operation& operation) const;

 private:
  std::unordered_map<std::string_view, Operations> by_owner_;
  std::unordered_map<Fence, const Operation*> answered_;  // that were told of their grant
  static const Operations none_;
};

}  // namespace locker::histories
