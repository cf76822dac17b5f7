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
  std::uint64_t deadline = 0;  // in ticks
  std::uint64_t subject = 0;
  std::uint32_t previous = null;
  std::uint32_t next = null;
  Kind kind = Kind::lease;
  std::uint8_t level = 0;
  std::uint8_t slot = 0;
};

DeadlineQueue::Entry& DeadlineQueue::entry(std::uint32_t at) const { return *arena_.at<Entry>(at); }

std::uint32_t& DeadlineQueue::list_of(const Entry& of) {
  return of.level == due_level ? due_ : wheel_[of.level][of.slot];
}

std::uint32_t DeadlineQueue::add(Instant deadline, Kind kind, std::uint64_t subject) {
  const std::uint32_t at = arena_.allocate(UnitArena::units_for(sizeof(Entry)));
  Entry& added = entry(at) = Entry{};
  added.deadline = std::min((microseconds_before(deadline) + tick - 1) / tick, ticks_max);
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

// The level is where the deadline differs from now: what is in a slot is of the same coarse time.
void DeadlineQueue::link(std::uint32_t at) {
  Entry& linked = entry(at);
  if (linked.deadline <= now_) {
    linked.level = due_level;
  } else {
    const auto highest = static_cast<unsigned>(std::bit_width(linked.deadline ^ now_) - 1);
    linked.level = static_cast<std::uint8_t>(highest / slot_bits);
    linked.slot = static_cast<std::uint8_t>((linked.deadline >> (slot_bits * linked.level)) & 63U);
    occupied_[linked.level] |= std::uint64_t{1} << linked.slot;
  }
  std::uint32_t& first = list_of(linked);
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
  std::uint32_t& first = list_of(unlinked);
  first = unlinked.next;
  if (first == null && unlinked.level != due_level) {
    occupied_[unlinked.level] &= ~(std::uint64_t{1} << unlinked.slot);
  }
}

std::optional<Instant> DeadlineQueue::next() const {
  if (due_ != null) return instant_of(now_);
  for (unsigned level = 0; level < levels; ++level) {
    if (occupied_[level] == 0) continue;
    // All of a level stand behind now in the same turn of the wheel above it.
    const auto slot = static_cast<std::uint64_t>(std::countr_zero(occupied_[level]));
    const std::uint64_t turn = now_ >> (slot_bits * (level + 1)) << (slot_bits * (level + 1));
    const std::uint64_t start = turn | slot << (slot_bits * level);
    return instant_of(start);
  }
  return std::nullopt;
}

void DeadlineQueue::turn_to(std::uint64_t to) {
  while (due_ == null) {
    const auto start = next();
    const auto start_tick = start ? microseconds_before(*start) / tick : to + 1;
    if (start_tick > to) break;
    now_ = start_tick;
    for (std::size_t level = 0; level < levels; ++level) {
      if (occupied_[level] == 0) continue;
      const auto slot = static_cast<std::size_t>(std::countr_zero(occupied_[level]));
      occupied_[level] &= occupied_[level] - 1;
      std::uint32_t at = wheel_[level][slot];
      wheel_[level][slot] = null;
      while (at != null) {
        const std::uint32_t following = entry(at).next;
        link(at);
        at = following;
      }
      break;
    }
  }
  if (due_ == null) now_ = std::max(now_, to);
}

std::optional<DeadlineQueue::Due> DeadlineQueue::take_due(Instant now) {
  turn_to(microseconds_before(now) / tick);
  if (due_ == null) return std::nullopt;
  const Due due{entry(due_).kind, entry(due_).subject};
  remove(due_);
  return due;
}

}  // namespace locker::core
