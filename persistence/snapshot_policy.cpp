#include "persistence/snapshot_policy.hpp"

#include <algorithm>

#include "persistence/segment_preparer.hpp"
#include "persistence/snapshot_format.hpp"

namespace locker::persistence {
namespace {

/// However large the records are.
bool is_sure_to_fit(const SnapshotPolicy::Situation& now) {
  return now.free_bytes >= snapshot_bytes_max(now.held);
}

bool is_expected_to_fit(const SnapshotPolicy::Situation& now) {
  return now.expected_bytes <= std::min(now.free_bytes, SnapshotPolicy::bytes_max(now));
}

}  // namespace

bool SnapshotPolicy::may_try(const Situation& now) const {
  return !is_off_ && may_fit(now) && !now.segment_fits_again;
}

bool SnapshotPolicy::may_fit(const Situation& now) const {
  if (!put_off_) return true;
  if (now.free_bytes >= put_off_->free_bytes + spare_bytes_min) return true;
  if (now.segment_has_no_room && !did_not_fit_) return true;
  if (now.sealed_bytes >= 2 * put_off_->sealed_bytes) return true;
  return now.last_index > put_off_->last_index &&
         (now.held <= put_off_->held / 2 || is_sure_to_fit(now) ||
          (is_expected_to_fit(now) && !was_misjudged_));
}

void SnapshotPolicy::note_put_off(const Situation& then, bool did_not_fit) {
  put_off_ = then;
  did_not_fit_ = did_not_fit;
  was_misjudged_ = did_not_fit && is_expected_to_fit(then);
}

std::uint64_t SnapshotPolicy::bytes_max(const Situation& now) {
  const std::uint64_t left = now.free_bytes + now.replaced_bytes;
  const std::uint64_t bytes = left - std::min(left, spare_bytes_min);
  // The sealed segments may contain more than is held.
  return is_sure_to_fit(now) ? std::max(bytes, snapshot_bytes_max(now.held)) : bytes;
}

}  // namespace locker::persistence
