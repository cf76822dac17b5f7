#pragma once

#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <optional>

#include "core/unit_arena.hpp"

namespace locker::core {

/// The clock of the times that are handed in: since the server began to serve, and not while it
/// stood still. Never goes back. Nothing here can ask it.
struct ServedTime {
  using duration = std::chrono::microseconds;
};
using Instant = std::chrono::time_point<ServedTime>;
using Duration = ServedTime::duration;

/// What is to happen when. A hierarchical timing wheel (Varghese and Lauck 1987) of eight levels of
/// 64 slots, the finest of a millisecond, each 32 times as long as that of the level below: adding
/// and removing cost O(1) however many there are. Rounds up: nothing is ever due early, and at most
/// a millisecond late.
///
/// A slot's entries move to finer ones a few with each call of take_due(), when nothing is due;
/// they have the time of a whole slot for that before theirs begins. An entry moves once for each
/// level at most, in about 0.3 us, and only once if it is removed with half of its time to go. So
/// what is due waits for others to move only where what is due has no end, or where more have their
/// deadlines in one slot than can move meanwhile: 100,000 within 32 ms, 3 million within a second.
class DeadlineQueue {
 public:
  enum class Kind : std::uint8_t { lease, cooling, waiter };
  struct Due {
    Kind kind = Kind::lease;
    std::uint64_t subject = 0;  ///< Whatever was given to add().
  };

  /// Returns the entry's number, never 0. A deadline later than 69 years after the start is taken
  /// for one at their end.
  std::uint32_t add(Instant deadline, Kind kind, std::uint64_t subject);
  /// REQUIRES: the entry was not removed nor taken.
  void remove(std::uint32_t entry);
  /// REQUIRES: as of remove(). Rounded up to the millisecond.
  [[nodiscard]] Instant deadline_of(std::uint32_t entry) const;
  /// Takes the next entry that is due at `now`, which must not go back from call to call. Null also
  /// when it has moved as many as it may at once: then next() is not later than `now`.
  [[nodiscard]] std::optional<Due> take_due(Instant now);
  static constexpr std::size_t moved_at_once = 16;
  /// When take_due() has something to take or to move; null when there is nothing at all.
  [[nodiscard]] std::optional<Instant> next() const;
  [[nodiscard]] std::size_t size() const { return size_; }
  /// Of memory for its entries. O(1).
  [[nodiscard]] std::size_t memory_bytes() const { return arena_.bytes_in_use(); }

 private:
  static constexpr unsigned level_bits = 5;
  static constexpr std::size_t slots = 64;  // twice as far as the next slot of the level above
  static constexpr std::size_t levels = 8;
  static constexpr std::uint64_t ticks_max = (slots << (level_bits * (levels - 1))) - 1;

  struct Entry;
  /// It begins at the tick number << (level * level_bits).
  struct Slot {
    std::size_t level = 0;
    std::uint64_t number = 0;
    [[nodiscard]] std::uint64_t begins_at() const { return number << (level_bits * level); }
    /// Of a coarse one: all its entries are near enough for a finer level then.
    [[nodiscard]] std::uint64_t moves_from() const { return (number - 1) << (level_bits * level); }
  };
  [[nodiscard]] Entry& entry(std::uint32_t at) const;
  void link(std::uint32_t at);
  void unlink(std::uint32_t at);
  [[nodiscard]] std::optional<Slot> first_slot(std::size_t level) const;
  [[nodiscard]] std::optional<Slot> slot_to_move(std::uint64_t to) const;

  UnitArena arena_;
  std::uint64_t now_ = 0;  // in ticks; what is due at it lies in its slot of the finest level
  std::array<std::array<std::uint32_t, slots>, levels> wheel_{};
  std::array<std::uint64_t, levels> occupied_{};  // a bit for each slot
  std::size_t size_ = 0;
};

}  // namespace locker::core
