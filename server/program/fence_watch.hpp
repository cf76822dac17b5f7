#pragma once

#include <chrono>
#include <functional>
#include <string_view>
#include <utility>

#include "core/lock.hpp"

namespace locker::server {

/// Tells once of fences that are ahead of the clock, as after one that was wrong: an old backup put
/// back then would give lower ones again.
class FenceWatch {
 public:
  explicit FenceWatch(std::function<void(std::string_view)> on_warning)
      : on_warning_(std::move(on_warning)) {}

  /// Now and then, with the highest fence that was given.
  void look(core::Fence last_fence, std::chrono::system_clock::time_point now);

 private:
  std::function<void(std::string_view)> on_warning_;
  bool is_told_ = false;
};

}  // namespace locker::server
