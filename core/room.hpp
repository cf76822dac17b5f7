#pragma once

#include <cstdint>

namespace locker::core {

/// Whether records can be journaled.
enum class Room : std::uint8_t {
  enough,
  soon,  ///< Not now, but space is being made ready: try again.
  none,  ///< The disk is full, or so many do not fit into a segment.
};

/// What is answered where there is not enough.
template <typename Outcome>
[[nodiscard]] constexpr Outcome refusal(Room room) {
  return room == Room::soon ? Outcome::busy : Outcome::disk_full;
}

}  // namespace locker::core
