#pragma once

#include <chrono>
#include <functional>
#include <string_view>
#include <utility>

namespace locker::server {

/// A write or a sync that has lasted this long is one of a disk that hangs: /readyz says so, and
/// the log.
inline constexpr std::chrono::seconds disk_patience{5};

/// Tells of a disk that neither answers nor fails, once, and once when it answers again.
class DiskWatch {
 public:
  explicit DiskWatch(std::function<void(std::string_view)> on_warning)
      : on_warning_(std::move(on_warning)) {}

  /// Now and then, with the age of the write that is under way; zero: none is.
  void look(std::chrono::nanoseconds write_age);

 private:
  std::function<void(std::string_view)> on_warning_;
  std::chrono::nanoseconds hung_for_{0};  ///< At the last look; zero: not told of.
};

}  // namespace locker::server
