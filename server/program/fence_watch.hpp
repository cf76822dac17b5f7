#pragma once

#include <chrono>
#include <functional>
#include <string_view>
#include <utility>

#include "core/lock.hpp"

namespace locker::server {

/// Warns once when fences are ahead of the clock, for example after the clock was wrong: an old
/// backup restored in that state would issue lower fences again.
class FenceWatch {
 public:
  explicit FenceWatch(std::function<void(std::string_view)> on_warning)
      : on_warning_(std::move(on_warning)) {}

  /// To be called periodically with the highest fence issued.
  void look(core::Fence last_fence, std::chrono::system_clock::time_point now);

 private:
  std::function<void(std::string_view)> on_warning_;
  bool is_told_ = false;
};

}  // namespace locker::server
