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

/// What is to happen when. A hierarchical timing wheel (Varghese and Lauck 1987) of seven levels of
/// 64 slots, the finest of a millisecond: adding and removing cost O(1) however many there are.
/// Rounds up: nothing is ever due early, and at most a millisecond late.
class DeadlineQueue {
 public:
  enum class Kind : std::uint8_t { lease, cooling, waiter };
  struct Due {
    Kind kind = Kind::lease;
    std::uint64_t subject = 0;  ///< Whatever was given to add().
  };

  /// Returns the entry's number, never 0. A deadline later than 139 years after the start is taken
  /// for one at their end.
  std::uint32_t add(Instant deadline, Kind kind, std::uint64_t subject);
  /// REQUIRES: the entry was not removed nor taken.
  void remove(std::uint32_t entry);
  /// REQUIRES: as of remove(). Rounded up to the millisecond.
  [[nodiscard]] Instant deadline_of(std::uint32_t entry) const;
  /// Takes the next entry that is due at `now`, which must not go back from call to call.
  [[nodiscard]] std::optional<Due> take_due(Instant now);
  /// When take_due() can have something at the earliest; null when there is nothing at all.
  [[nodiscard]] std::optional<Instant> next() const;
  [[nodiscard]] std::size_t size() const { return size_; }
  /// Of memory for its entries. O(1).
  [[nodiscard]] std::size_t memory_bytes() const { return arena_.bytes_in_use(); }

 private:
  static constexpr unsigned slot_bits = 6;
  static constexpr std::size_t slots = 64;
  static constexpr std::size_t levels = 7;
  static constexpr std::uint64_t ticks_max = (std::uint64_t{1} << (slot_bits * levels)) - 1;
  static constexpr std::uint8_t due_level = levels;

  struct Entry;
  [[nodiscard]] Entry& entry(std::uint32_t at) const;
  [[nodiscard]] std::uint32_t& list_of(const Entry& of);
  void link(std::uint32_t at);
  void unlink(std::uint32_t at);
  void turn_to(std::uint64_t tick);

  UnitArena arena_;
  std::uint64_t now_ = 0;  // in ticks
  std::array<std::array<std::uint32_t, slots>, levels> wheel_{};
  std::array<std::uint64_t, levels> occupied_{};  // a bit for each slot
  std::uint32_t due_ = UnitArena::null;
  std::size_t size_ = 0;
};

}  // namespace locker::core
