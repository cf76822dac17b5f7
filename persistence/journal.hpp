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

/// Position of a record in the one total order; the first record ever has index 1.
using Index = std::uint64_t;

template <typename T>
using Result = boost::system::result<T, core::Fault>;

enum class Durability {
  always,    ///< A frame is on disk when append() returns.
  interval,  ///< Written when append() returns, on disk within an interval: a power cut can undo
             ///< it.
  none,      ///< Written when append() returns; the operating system decides when it is on disk.
};

/// As in the option --durability.
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

/// What recovery found, for the start line.
struct Recovered {
  Index last_index = 0;
  core::Fence last_fence = 0;    ///< The highest ever granted, also when all locks have ended.
  std::uint64_t torn_bytes = 0;  ///< Cut off behind the last whole frame; never acknowledged.
};

/// The one total order of records, whoever keeps it: files here, a replicated log later. Nothing
/// that decides or answers may assume files; Locker, which opens the store, and Metrics know
/// LocalJournal.
class Journal {
 public:
  virtual ~Journal() = default;

  /// Appends one frame of `count` encoded records, the next in order; durable, as the durability
  /// says, when it returns. Blocks. REQUIRES: no other append is under way.
  /// After an error what the disk holds is unknown: the caller must end the process.
  [[nodiscard]] virtual Result<void> append(std::string_view records, std::uint32_t count) = 0;

  /// Whether `bytes` of records that are not in the journal yet can be appended, in one frame or
  /// two. For a grant (`reserved` false) the answer keeps a reserve free, so that locks can still
  /// be released on a full disk: enough for the `ends` records, one by one, that end all that is
  /// held: LockTable::ends_max().
  /// Any thread; never blocks.
  [[nodiscard]] virtual core::Room room_for(std::size_t bytes, bool reserved,
                                            std::size_t ends) const = 0;

  /// The same when `pending` bytes of others are on their way here, before these. Where only both
  /// together are too much, there is room soon: in the segment behind.
  [[nodiscard]] core::Room room_beside(std::size_t pending, std::size_t bytes, bool reserved,
                                       std::size_t ends) const {
    const core::Room room = room_for(pending + bytes, reserved, ends);
    if (room != core::Room::none || pending == 0) return room;
    const bool fits_alone = room_for(bytes, reserved, ends) != core::Room::none;
    return fits_alone ? core::Room::soon : core::Room::none;
  }
};

}  // namespace locker::persistence
