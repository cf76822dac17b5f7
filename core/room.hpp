#pragma once

#include <cstdint>

namespace locker::core {

/// Whether the journal has room for records.
enum class Room : std::uint8_t {
  enough,
  soon,  ///< Not now, but space is being prepared: try again.
  none,  ///< The disk is full, or that many do not fit into a segment.
};

/// The outcome of a command for which there is not enough room.
template <typename Outcome>
[[nodiscard]] constexpr Outcome refusal(Room room) {
  return room == Room::soon ? Outcome::busy : Outcome::disk_full;
}

}  // namespace locker::core
