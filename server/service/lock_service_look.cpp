// The read-only part of LockService.
#include <algorithm>
#include <mutex>
#include <utility>

#include "server/service/lock_service.hpp"

namespace locker::server {
namespace {

constexpr std::size_t shown_max = 100;
// Asking about all locks of a lease of 100,000, under the mutex and at each renewal, takes 9 ms.
constexpr std::size_t asked_again_max = 100;
constexpr std::size_t known_to_fit_max = 1'000;

}  // namespace

LockService::At<LockService::PathState> LockService::look_at(core::PathView path) {
  const std::lock_guard lock{commit_.mutex()};
  PathState state;
  auto covering = arbiter_.covering(path, shown_max, PathState::counted_max);
  state.holders = std::move(covering.holders);
  state.holder_count = covering.holder_count;
  state.covered_by = std::move(covering.elsewhere);
  state.covered_by_count = covering.elsewhere_count;
  state.waiters = arbiter_.waiting_at(path, shown_max);
  state.waiter_count = arbiter_.count_waiting_at(path);
  state.awaited_by = arbiter_.awaited_by(path);
  state.is_free = state.holders.empty() && state.covered_by.empty() && !state.awaited_by &&
                  state.waiter_count == 0;
  return {std::move(state), commit_.last_index(), read_now()};
}

LockService::At<LockService::LeaseContents> LockService::look_at(
    const core::Token& token, std::optional<core::LockId> after) {
  const std::lock_guard lock{commit_.mutex()};
  LeaseContents contents;
  if (const auto lease = arbiter_.table().find_lease_of(token)) {
    contents.is_living = true;
    contents.owner = lease->owner;
    contents.ttl = lease->ttl;
    contents.expires = arbiter_.expiry_of(*lease);
    contents.page = pages_.list_lease(*lease, after);
  } else {
    contents.ended = arbiter_.ended_lease(token);
  }
  return {std::move(contents), commit_.last_index(), read_now()};
}

LockService::At<bool> LockService::holds_only(const core::Token& token, const Asker& asker,
                                              const std::function<bool(core::PathView)>& fits) {
  const std::lock_guard lock{commit_.mutex()};
  const core::LockTable& table = arbiter_.table();
  bool all_fit = true;
  if (const auto lease = table.find_lease_of(token)) {
    const auto known = known_to_fit_.find({token, asker});
    const core::LockId newest_known = known == known_to_fit_.end() ? core::LockId{} : known->second;
    std::size_t asked = 0;
    table.for_each_newest_lock_of(*lease, [&](const core::HeldLock& held) {
      if (held.id <= newest_known) return false;
      ++asked;
      all_fit = fits(table.path_of(held));
      return all_fit;
    });
    if (all_fit && asked >= asked_again_max) {
      if (known_to_fit_.size() == known_to_fit_max) known_to_fit_.clear();
      known_to_fit_[{token, asker}] = table.last_id();
    }
  }
  return {all_fit, commit_.last_index(), read_now()};
}

LockService::At<LockPages::Page> LockService::list(const LockPages::Query& query) {
  const std::lock_guard lock{commit_.mutex()};
  return {pages_.list(query), commit_.last_index(), read_now()};
}

LockService::Status LockService::status() {
  const std::lock_guard lock{commit_.mutex()};
  return look_at_status();
}

LockService::Measured LockService::measure() {
  const std::lock_guard lock{commit_.mutex()};
  const core::Now now = read_now();
  Measured measured;
  measured.status = look_at_status();
  measured.counts = counts_;
  measured.memory_bytes = arbiter_.memory_bytes();
  measured.open_records = commit_.open_records();
  measured.pending_bytes = commit_.pending_bytes();
  arbiter_.for_each_waiter(0, [&](const core::Waiter& waiter) {
    measured.oldest_waiter = now.instant - waiter.since;
    return false;
  });
  if (const auto oldest = arbiter_.table().oldest()) {
    const core::Fence age = now.wall - std::min(now.wall, oldest->id.fence);
    measured.oldest_lock = core::Duration{age};
  }
  return measured;
}

// REQUIRES: the mutex is held.
LockService::Status LockService::look_at_status() const {
  return {arbiter_.table().lock_count(),
          arbiter_.table().lease_count(),
          arbiter_.opened_lease_count(),
          arbiter_.waiter_count(),
          commit_.last_index(),
          arbiter_.last_fence(),
          room_for(core::record_bytes_max, false) != core::Room::none};
}

}  // namespace locker::server
