#include "server/program/fence_watch.hpp"

#include <string>

#include "server/service/wall_clock.hpp"

namespace locker::server {
namespace {

constexpr core::Fence of_a_second = 1'000'000;
/// A synchronised clock is never set back by as much.
constexpr core::Fence lead_min = 10 * of_a_second;

}  // namespace

void FenceWatch::look(core::Fence last_fence, std::chrono::system_clock::time_point now) {
  const core::Fence wall = wall_for_fences(now);
  const bool is_ahead = wall != 0 && last_fence > wall + lead_min;
  if (is_ahead && !is_told_) {
    on_warning_(
        "fences are ahead of the clock by " + std::to_string((last_fence - wall) / of_a_second) +
        " s, as happens after the clock was wrong: they count up from the last one until the clock "
        "has passed it. Do not restore an older backup before that: it would issue lower ones");
  }
  is_told_ = is_ahead;
}

}  // namespace locker::server
