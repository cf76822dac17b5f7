#pragma once

#include <chrono>
#include <functional>
#include <string_view>
#include <utility>

namespace locker::server {

/// A write or sync that takes this long means that the disk hangs: /readyz and the log report it.
inline constexpr std::chrono::seconds disk_patience{5};

/// Warns once when the disk neither answers nor fails, and once when it answers again.
class DiskWatch {
 public:
  explicit DiskWatch(std::function<void(std::string_view)> on_warning)
      : on_warning_(std::move(on_warning)) {}

  /// Call periodically, with the age of the write under way; zero: there is none.
  void look(std::chrono::nanoseconds write_age);

 private:
  std::function<void(std::string_view)> on_warning_;
  std::chrono::nanoseconds hung_for_{0};  ///< At the last look(); zero: no hang is reported.
};

}  // namespace locker::server
