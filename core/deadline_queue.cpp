#include "core/deadline_queue.hpp"

#include <algorithm>
#include <bit>

namespace locker::core {
namespace {

constexpr std::uint32_t null = UnitArena::null;
constexpr std::int64_t tick = 1000;  // microseconds

std::uint64_t microseconds_before(Instant instant) {
  return static_cast<std::uint64_t>(std::max(Duration{0}, instant.time_since_epoch()).count());
}

Instant instant_of(std::uint64_t ticks) {
  return Instant{Duration{static_cast<std::int64_t>(ticks) * tick}};
}

}  // namespace

struct DeadlineQueue::Entry {
  std::uint64_t deadline : 41 = 0;  // in ticks
  Kind kind : 2 = Kind::lease;
  std::uint64_t level : 4 = 0;
  std::uint64_t slot : 6 = 0;
  std::uint64_t subject = 0;
  std::uint32_t previous = null;
  std::uint32_t next = null;
};

DeadlineQueue::Entry& DeadlineQueue::entry(std::uint32_t at) const { return *arena_.at<Entry>(at); }

std::uint32_t DeadlineQueue::add(Instant deadline, Kind kind, std::uint64_t subject) {
  static_assert(sizeof(Entry) == 24);  // per timer, of which there can be a million
  const std::uint32_t at = arena_.allocate(UnitArena::units_for(sizeof(Entry)));
  Entry& added = entry(at) = Entry{};
  const std::uint64_t ticks = (microseconds_before(deadline) + tick - 1) / tick;
  added.deadline = std::min(ticks, ticks_max) & ticks_max;
  added.kind = kind;
  added.subject = subject;
  link(at);
  ++size_;
  return at;
}

void DeadlineQueue::remove(std::uint32_t at) {
  unlink(at);
  arena_.free(at, UnitArena::units_for(sizeof(Entry)));
  --size_;
}

Instant DeadlineQueue::deadline_of(std::uint32_t at) const {
  return instant_of(entry(at).deadline);
}

/// Links the entry into the finest level that reaches its deadline.
void DeadlineQueue::link(std::uint32_t at) {
  Entry& linked = entry(at);
  Slot slot{0, std::max(linked.deadline, now_)};
  std::uint64_t current = now_;
  while (slot.number - current >= slots) {
    ++slot.level;
    slot.number >>= level_bits;
    current >>= level_bits;
  }
  linked.level = slot.level & 15U;
  linked.slot = slot.number % slots;
  occupied_[linked.level] |= std::uint64_t{1} << linked.slot;
  std::uint32_t& first = wheel_[linked.level][linked.slot];
  linked.previous = null;
  linked.next = first;
  if (first != null) entry(first).previous = at;
  first = at;
}

void DeadlineQueue::unlink(std::uint32_t at) {
  const Entry& unlinked = entry(at);
  if (unlinked.next != null) entry(unlinked.next).previous = unlinked.previous;
  if (unlinked.previous != null) {
    entry(unlinked.previous).next = unlinked.next;
    return;
  }
  wheel_[unlinked.level][unlinked.slot] = unlinked.next;
  if (unlinked.next == null) {
    occupied_[unlinked.level] &= ~(std::uint64_t{1} << unlinked.slot);
  }
}

/// Returns the first slot of the level that has entries.
std::optional<DeadlineQueue::Slot> DeadlineQueue::first_slot(std::size_t level) const {
  if (occupied_[level] == 0) return std::nullopt;
  const std::uint64_t current = now_ >> (level_bits * level);
  const int ahead =
      std::countr_zero(std::rotr(occupied_[level], static_cast<int>(current % slots)));
  return Slot{level, current + static_cast<std::uint64_t>(ahead)};
}

/// Returns, of the coarse slots whose entries can move at `to`, the one that begins first.
std::optional<DeadlineQueue::Slot> DeadlineQueue::slot_to_move(std::uint64_t to) const {
  std::optional<Slot> found;
  for (std::size_t level = 1; level < levels; ++level) {
    const auto slot = first_slot(level);
    if (!slot || slot->moves_from() > to) continue;
    if (!found || slot->begins_at() < found->begins_at()) found = slot;
  }
  return found;
}

std::optional<Instant> DeadlineQueue::next() const {
  std::optional<std::uint64_t> earliest;
  for (std::size_t level = 0; level < levels; ++level) {
    const auto slot = first_slot(level);
    if (!slot) continue;
    const std::uint64_t at = level == 0 ? slot->begins_at() : slot->moves_from();
    earliest = std::min(earliest.value_or(at), at);
  }
  if (!earliest) return std::nullopt;
  return instant_of(std::max(*earliest, now_));
}

std::optional<DeadlineQueue::Due> DeadlineQueue::take_due(Instant now) {
  const std::uint64_t to = std::max(now_, microseconds_before(now) / tick);
  for (std::size_t moved = 0; moved < moved_at_once; ++moved) {
    const auto due = first_slot(0);
    const auto coarse = slot_to_move(to);
    // Due entries come first, unless a coarse slot begins no later: that can have earlier ones.
    if (due && due->number <= to && (!coarse || due->number < coarse->begins_at())) {
      now_ = due->number;
      const std::uint32_t at = wheel_[0][now_ % slots];
      const Due taken{entry(at).kind, entry(at).subject};
      remove(at);
      return taken;
    }
    if (!coarse) {
      now_ = to;
      return std::nullopt;
    }
    now_ = std::max(now_, coarse->moves_from());
    const std::uint32_t at = wheel_[coarse->level][coarse->number % slots];
    unlink(at);
    link(at);
  }
  return std::nullopt;
}

}  // namespace locker::core
