#include "server/lock_service.hpp"

#include <utility>

namespace locker::server {

using Room = persistence::Journal::Room;

LockService::LockService(core::LockTable table, GroupCommit& commit,
                         const persistence::Journal& journal, core::Fence first_fence,
                         std::size_t locks_max)
    : table_(std::move(table)),
      commit_(commit),
      journal_(journal),
      next_fence_(first_fence),
      locks_max_(locks_max) {}

persistence::Journal::Room LockService::room_for_record(bool reserved) const {
  return journal_.room_for(commit_.pending_bytes() + core::record_bytes_max, reserved);
}

LockService::Acquired LockService::acquire(core::PathView path, const core::Shape& shape,
                                           std::string_view owner, std::string& blocked_by) {
  const core::AcquireRequest request{path, shape, core::ClashRule::holder_only, std::nullopt};
  const std::lock_guard lock{commit_.mutex()};
  if (const auto blocker = table_.blocker(request)) {
    blocked_by = blocker->owner;
    return {Outcome::blocked, {}, commit_.last_index()};
  }
  if (table_.lock_count() >= locks_max_) return {Outcome::too_many_locks, {}, commit_.last_index()};
  if (const Room room = room_for_record(false); room != Room::enough) {
    return {room == Room::soon ? Outcome::busy : Outcome::disk_full, {}, 0};
  }
  const core::Granted granted{tokens_.next(), {next_fence_++, 0}, shape, owner, path};
  table_.apply(granted);
  return {Outcome::granted, granted.token, commit_.add(granted)};
}

LockService::Released LockService::release(core::PathView path, const core::Token& token) {
  const std::lock_guard lock{commit_.mutex()};
  const auto held = table_.held_by(token, path);
  if (!held) return {ReleaseOutcome::not_held, commit_.last_index()};
  if (const Room room = room_for_record(true); room != Room::enough) {
    return {room == Room::soon ? ReleaseOutcome::busy : ReleaseOutcome::disk_full, 0};
  }
  const core::Ended ended{token, held->id, core::End::released};
  table_.apply(ended);
  return {ReleaseOutcome::released, commit_.add(ended)};
}

LockService::Queried LockService::query(core::PathView path, std::string& blocked_by) {
  const std::lock_guard lock{commit_.mutex()};
  const auto held = table_.covering(path);
  if (held) blocked_by = held->owner;
  return {held.has_value(), commit_.last_index()};
}

LockService::Status LockService::status() {
  const std::lock_guard lock{commit_.mutex()};
  return {table_.lock_count(), table_.lease_count(), commit_.last_index(), next_fence_ - 1,
          room_for_record(false) != Room::none};
}

}  // namespace locker::server
