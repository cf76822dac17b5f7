#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

#include "core/lock_table.hpp"

namespace locker::core {

// How LockTable is laid out in its arena; for lock_table*.cpp and lock_cursor.cpp only.

/// A list of locks in order of grant, linked at the level of the node that has the list.
///
/// The link to the last lock is written when another is appended: until then the last is pending,
/// and `next` of the one before it is not valid. So a lock that comes and goes while others stay
/// touches none of them, at none of its levels: with a million locks those are the accesses that
/// miss all caches.
struct LockTable::List {
  std::uint32_t first = UnitArena::null;
  std::uint32_t last : UnitArena::number_bits = UnitArena::null;
  std::uint32_t is_pending : 1 = 0;

  void set_last(std::uint32_t lock, bool pending) {
    last = lock & UnitArena::number_mask;
    is_pending = pending ? 1 : 0;
  }
};

/// A path prefix that has a lock at it or below it.
///
/// Most are leaves, with nothing below: those do without the four lists of Below. A node that is
/// created as an inner one has them directly behind it, where they are found without the arena: an
/// acquire-release pair takes 5 % fewer instructions.
struct LockTable::Node {
  std::uint32_t parent = UnitArena::null;
  std::uint32_t below = UnitArena::null;  // the block of Below; null: directly behind the node
  List here[2];                           // by lock_children
  std::uint8_t segment_size = 0;
  char segment[15] = {};  // the bytes, or the number of the block with them if they do not fit

  [[nodiscard]] bool has_none_here() const {
    return (here[0].first | here[1].first) == UnitArena::null;
  }
};

/// The locks of the whole subtree under a node, by below_index().
struct LockTable::Below {
  List lists[4];

  [[nodiscard]] bool is_empty() const {
    return (lists[0].first | lists[1].first | lists[2].first | lists[3].first) == UnitArena::null;
  }
};

struct LockTable::Link {
  std::uint32_t previous = UnitArena::null;
  std::uint32_t next = UnitArena::null;  // valid if neither this lock nor the next one is the last
};

/// A held lock, followed by depth + 1 links, one for each node from the root to its own.
struct LockTable::Lock {
  Fence fence = 0;
  std::uint32_t node = UnitArena::null;
  std::uint32_t lease = UnitArena::null;
  std::uint32_t lease_previous = UnitArena::null;  // of the lease's first one: its last one
  std::uint32_t lease_next = UnitArena::null;
  std::uint32_t details = UnitArena::null;  // a block that begins with LockDetails
  std::uint16_t position = 0;
  std::uint8_t depth = 0;
  std::uint8_t bits = 0;  // bit_…

  static constexpr std::uint8_t bit_shared = 1;
  static constexpr std::uint8_t bit_lock_parents = 2;
  static constexpr std::uint8_t bit_lock_children = 4;
  static constexpr std::uint8_t bit_cooling = 8;
  static constexpr std::uint8_t bit_watched = 16;
  static constexpr std::uint8_t bit_under_cursor = 32;
  [[nodiscard]] bool is(std::uint8_t bit) const { return (bits & bit) != 0; }
  void set(std::uint8_t bit) { bits = static_cast<std::uint8_t>(bits | bit); }

  [[nodiscard]] LockId id() const { return {fence, position}; }
  [[nodiscard]] Shape shape() const {
    return {is(bit_shared) ? Mode::shared : Mode::exclusive, is(bit_lock_parents),
            is(bit_lock_children)};
  }
  void set_shape(const Shape& shape) {
    if (shape.mode == Mode::shared) set(bit_shared);
    if (shape.lock_parents) set(bit_lock_parents);
    if (shape.lock_children) set(bit_lock_children);
  }
};

/// Fields that few locks need, followed by the bytes of the owner and of the meta.
struct LockTable::LockDetails {
  std::uint32_t lock_delay = 0;
  std::uint16_t meta_size = 0;
  std::uint16_t owner_size = 0;  // zero without a lock-delay, with which it can outlast its lease
};

struct LockTable::Lease {
  Token token;
  std::uint32_t first_lock = UnitArena::null;
  /// A block with the terms, if there are any, and the owner's bytes. Without terms one byte with
  /// the owner's size precedes it: an owner of up to 7 bytes then takes 8 bytes instead of 24.
  std::uint32_t details : UnitArena::number_bits = UnitArena::null;
  std::uint32_t has_terms : 1 = 0;
};

/// The terms of a lease that has a TTL or was opened explicitly.
struct LockTable::LeaseTerms {
  Fence opened_fence : 56 = 0;  // zero: opened by a grant
  Fence owner_size : 8 = 0;
  std::uint32_t ttl = 0;
  std::uint32_t timer = 0;

  [[nodiscard]] bool has_deadline() const { return ttl != 0 || opened_fence != 0; }
};

inline const std::size_t LockTable::node_units = UnitArena::units_for(sizeof(Node));
inline const std::size_t LockTable::below_units = UnitArena::units_for(sizeof(Below));
inline const std::size_t LockTable::lease_units = UnitArena::units_for(sizeof(Lease));

inline LockTable::Node& LockTable::node(std::uint32_t at) const { return *arena_.at<Node>(at); }
inline const LockTable::Below& LockTable::below(const Node& of) const {
  return of.below == UnitArena::null ? *reinterpret_cast<const Below*>(&of + 1)
                                     : *arena_.at<Below>(of.below);
}
/// For writing: replaces the shared empty Below of a leaf by one of its own.
inline LockTable::Below& LockTable::below_for(Node& of) {
  return of.below == UnitArena::null ? *reinterpret_cast<Below*>(&of + 1) : separate_below_for(of);
}
/// The six lists of a node by number: 0 and 1 are `here`, 2 to 5 `below`.
inline const LockTable::List& LockTable::list_of(const Node& of, std::size_t number) const {
  return number < 2 ? of.here[number] : below(of).lists[number - 2];
}
inline bool LockTable::is_empty(const Node& of) const {
  return of.has_none_here() && below(of).is_empty();
}
inline LockTable::Lock& LockTable::lock(std::uint32_t at) const { return *arena_.at<Lock>(at); }
inline LockTable::Link* LockTable::links(Lock& of) { return reinterpret_cast<Link*>(&of + 1); }
inline std::uint32_t LockTable::next_of(const List& list, std::uint32_t at,
                                        std::size_t level) const {
  if (at == list.last) return UnitArena::null;
  if (list.is_pending && links(lock(list.last))[level].previous == at) return list.last;
  return links(lock(at))[level].next;
}

inline LockTable::Lease& LockTable::lease(std::uint32_t at) const { return *arena_.at<Lease>(at); }
/// Null if it has none.
inline LockTable::LeaseTerms* LockTable::terms_of(const Lease& of) const {
  return of.has_terms == 0 ? nullptr : arena_.at<LeaseTerms>(of.details);
}
inline std::string_view LockTable::owner_of(const Lease& of) const {
  if (of.details == UnitArena::null) return {};
  const char* const block = arena_.at<char>(of.details);
  if (const LeaseTerms* const terms = terms_of(of)) {
    return {block + sizeof *terms, terms->owner_size};
  }
  return {block + 1, static_cast<std::uint8_t>(*block)};
}

[[nodiscard]] constexpr std::size_t below_index(Mode mode, bool lock_parents) {
  return (mode == Mode::shared ? 2U : 0U) + (lock_parents ? 1U : 0U);
}

/// Bits of Holdings: a lock of this mode is below the node, or at it.
[[nodiscard]] constexpr unsigned below_bit(Mode mode, bool lock_parents) {
  return 1U << below_index(mode, lock_parents);
}
[[nodiscard]] constexpr unsigned here_bit(Mode mode, bool lock_children) {
  return 16U << ((mode == Mode::shared ? 2U : 0U) + (lock_children ? 1U : 0U));
}

}  // namespace locker::core
