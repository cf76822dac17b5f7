#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include <boost/system/result.hpp>

#include "core/error.hpp"
#include "core/record.hpp"
#include "core/room.hpp"

namespace locker::persistence {

/// The position of a record in the total order; the very first record has index 1.
using Index = std::uint64_t;

template <typename T>
using Result = boost::system::result<T, core::Fault>;

enum class Durability {
  always,    ///< A frame is durable when append() returns.
  interval,  ///< Written on return, durable within an interval: a power failure can undo it.
  none,      ///< Written on return; the operating system decides when it becomes durable.
};

/// Returns the value of the option --durability.
[[nodiscard]] constexpr std::string_view name_of(Durability durability) {
  switch (durability) {
    case Durability::always:
      return "always";
    case Durability::interval:
      return "interval";
    case Durability::none:
      break;
  }
  return "none";
}

/// The result of recovery, for the log line at start.
struct Recovered {
  Index last_index = 0;
  core::Fence last_fence = 0;    ///< The highest ever granted, even if all locks have ended.
  std::uint64_t torn_bytes = 0;  ///< Cut off after the last valid frame; never acknowledged.
};

/// The total order of records. It may be kept in files, or by a replicated log. Code that decides
/// or answers must not assume files; only Locker, which opens the store, and Metrics know
/// LocalJournal.
class Journal {
 public:
  virtual ~Journal() = default;

  /// Appends one frame of `count` encoded records, the next in order, and returns when it is as
  /// durable as the configured durability says. Blocks. REQUIRES: no other append is in progress.
  /// After an error the contents of the disk are unknown: the caller must end the process.
  [[nodiscard]] virtual Result<void> append(std::string_view records, std::uint32_t count) = 0;

  /// Returns whether `bytes` of records that are not in the journal yet can be appended, in one
  /// frame or two. For a grant (`reserved` false) the answer keeps a reserve free, so that locks
  /// can still be released on a full disk: enough for the `ends` records that end, one by one,
  /// everything that is held (LockTable::ends_max()).
  /// Any thread; never blocks.
  [[nodiscard]] virtual core::Room room_for(std::size_t bytes, bool reserved,
                                            std::size_t ends) const = 0;

  /// Does the same when `pending` bytes of other records are to be appended before these. If only
  /// both together are too much, there will be room soon: in the next segment.
  [[nodiscard]] core::Room room_beside(std::size_t pending, std::size_t bytes, bool reserved,
                                       std::size_t ends) const {
    const core::Room room = room_for(pending + bytes, reserved, ends);
    if (room != core::Room::none || pending == 0) return room;
    const bool fits_alone = room_for(bytes, reserved, ends) != core::Room::none;
    return fits_alone ? core::Room::soon : core::Room::none;
  }
};

}  // namespace locker::persistence
