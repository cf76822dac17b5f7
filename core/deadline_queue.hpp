#pragma once

#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <optional>

#include "core/unit_arena.hpp"

namespace locker::core {

/// The clock of all times that are passed in: time since the server began to serve, without the
/// time that it stood still. Never goes back. Nothing in core can read it.
struct ServedTime {
  using duration = std::chrono::microseconds;
};
using Instant = std::chrono::time_point<ServedTime>;
using Duration = ServedTime::duration;

/// A queue of deadlines: a hierarchical timing wheel (Varghese and Lauck 1987) of eight levels of
/// 64 slots. The finest slots last a millisecond; those of each further level last 32 times as long
/// as those of the level below. Adding and removing are O(1), however many entries there are.
/// Deadlines are rounded up: nothing is ever due early, and at most a millisecond late.
///
/// When nothing is due, each call of take_due() moves a few entries of a coarse slot to finer ones;
/// they have the time of a whole slot for that before their own begins. An entry moves at most once
/// per level, in about 0.3 us, and only once in all if it is removed with half of its time to go.
/// So due entries wait for others to move only if entries keep coming due without end, or if more
/// deadlines fall into one slot than can move in time: 100,000 within 32 ms, 3 million within a
/// second.
class DeadlineQueue {
 public:
  enum class Kind : std::uint8_t { lease, cooling, waiter };
  struct Due {
    Kind kind = Kind::lease;
    std::uint64_t subject = 0;  ///< The value that was passed to add().
  };

  /// Returns the entry's number, never 0. A deadline more than 69 years after the start becomes one
  /// at the end of these 69 years.
  std::uint32_t add(Instant deadline, Kind kind, std::uint64_t subject);
  /// REQUIRES: the entry was neither removed nor taken.
  void remove(std::uint32_t entry);
  /// REQUIRES: as for remove(). Rounded up to the millisecond.
  [[nodiscard]] Instant deadline_of(std::uint32_t entry) const;
  /// Takes the next entry that is due at `now`, which must not go back from call to call. Returns
  /// null also after moving moved_at_once entries; if there is more to move or to take, next() is
  /// not later than `now` then.
  [[nodiscard]] std::optional<Due> take_due(Instant now);
  static constexpr std::size_t moved_at_once = 16;
  /// When take_due() has something to take or to move; null if the queue is empty.
  [[nodiscard]] std::optional<Instant> next() const;
  [[nodiscard]] std::size_t size() const { return size_; }
  /// The memory of its entries. O(1).
  [[nodiscard]] std::size_t memory_bytes() const { return arena_.bytes_in_use(); }

 private:
  static constexpr unsigned level_bits = 5;
  static constexpr std::size_t slots = 64;  // a level reaches over two slots of the level above
  static constexpr std::size_t levels = 8;
  static constexpr std::uint64_t ticks_max = (slots << (level_bits * (levels - 1))) - 1;

  struct Entry;
  /// A slot of a level; it begins at the tick number << (level * level_bits).
  struct Slot {
    std::size_t level = 0;
    std::uint64_t number = 0;
    [[nodiscard]] std::uint64_t begins_at() const { return number << (level_bits * level); }
    /// The tick from which all entries of a coarse slot are near enough for a finer level.
    [[nodiscard]] std::uint64_t moves_from() const { return (number - 1) << (level_bits * level); }
  };
  [[nodiscard]] Entry& entry(std::uint32_t at) const;
  void link(std::uint32_t at);
  void unlink(std::uint32_t at);
  [[nodiscard]] std::optional<Slot> first_slot(std::size_t level) const;
  [[nodiscard]] std::optional<Slot> slot_to_move(std::uint64_t to) const;

  UnitArena arena_;
  std::uint64_t now_ = 0;  // in ticks; entries due at it are in its slot of the finest level
  std::array<std::array<std::uint32_t, slots>, levels> wheel_{};
  std::array<std::uint64_t, levels> occupied_{};  // one bit per slot
  std::size_t size_ = 0;
};

}  // namespace locker::core
