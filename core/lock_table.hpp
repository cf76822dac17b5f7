#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <optional>
#include <span>
#include <string_view>

#include "core/extendible_table.hpp"
#include "core/lock.hpp"
#include "core/path.hpp"
#include "core/record.hpp"
#include "core/unit_arena.hpp"

namespace locker::core {

/// Whose flags are asked when a request meets a held lock.
enum class ClashRule : std::uint8_t {
  /// The seed's verbs: only the held lock's flags. What is granted depends on the order.
  holder_only,
  /// Either's: two locks clash in both orders or in none.
  symmetric,
};

struct AcquireRequest {
  PathView path;
  Shape shape;
  ClashRule rule = ClashRule::symmetric;
  /// Locks of the lease with this token never clash with the request. Null: a fresh lease.
  std::optional<Token> token = std::nullopt;
};

/// A held lock, seen from outside. Good until the table changes.
struct HeldLock {
  LockId id;
  Shape shape;
  std::string_view owner;    ///< Empty when unknown.
  std::uint32_t handle = 0;  ///< For LockTable::path_of() and token_of().
};

/// Which locks are held: a value without clock, I/O, threads or randomness. The same calls give
/// the same state and the same answers everywhere; the hash seed changes neither.
///
/// Not thread-safe. A check costs O(path depth) whatever is held, but for the locks of the
/// request's own lease, which are stepped over one by one. See core/DESIGN.md for the structure.
///
/// Invariants (check_invariants() asserts them):
///   1. A node's lists hold exactly the locks at it and below it, in order of grant.
///   2. Every node but the root holds or covers a lock.
///   3. Every lease has at least one lock.
class LockTable {
 public:
  explicit LockTable(std::uint64_t hash_seed = 0);

  /// Decides. Null: nothing is in the way, and granted() may be applied at once. Otherwise the
  /// lock that is named as the reason: the nearest at or above the path (the path itself first),
  /// else the oldest below it.
  [[nodiscard]] std::optional<HeldLock> blocker(const AcquireRequest& request) const;

  /// Who blocks this path for an exclusive request of the seed's verbs: what `dohaz` answers.
  [[nodiscard]] std::optional<HeldLock> covering(PathView path) const;

  /// The lock that this token holds at exactly this path.
  [[nodiscard]] std::optional<HeldLock> held_by(const Token& token, PathView path) const;

  /// Applies a decision; nothing is checked again. REQUIRES, of a grant: its id is above every
  /// other's, and its lease holds no lock at its path; of an end: the lock is held.
  void apply(const Granted& granted);
  void apply(const Ended& ended);

  /// For records from a journal, which may contradict what is held when a file was damaged in a
  /// way that no checksum sees. False: it does, and nothing was changed.
  [[nodiscard]] bool try_apply(const Record& record);

  [[nodiscard]] std::size_t lock_count() const { return lock_count_; }
  [[nodiscard]] std::size_t lease_count() const { return leases_.size(); }
  [[nodiscard]] std::size_t node_count() const { return nodes_.size(); }

  [[nodiscard]] Path path_of(const HeldLock& held) const;
  [[nodiscard]] const Token& token_of(const HeldLock& held) const;
  /// Calls `visit` for each lock, oldest first. O(locks).
  void for_each_lock(const std::function<void(const HeldLock&)>& visit) const;
  void check_invariants() const;

 private:
  struct Node;
  struct Lock;
  struct Lease;
  struct Found;
  struct List;
  static const std::size_t node_units;
  static const std::size_t lease_units;
  [[nodiscard]] static std::size_t lock_units(std::size_t depth);

  [[nodiscard]] Node& node(std::uint32_t at) const;
  [[nodiscard]] Lock& lock(std::uint32_t at) const;
  [[nodiscard]] Lease& lease(std::uint32_t at) const;

  [[nodiscard]] std::uint32_t hash_segment(std::uint32_t parent, std::string_view segment) const;
  [[nodiscard]] std::uint32_t hash_token(const Token& token) const;
  [[nodiscard]] std::string_view segment_of(const Node& node) const;
  [[nodiscard]] std::uint32_t find_child(std::uint32_t parent, std::string_view segment) const;
  std::uint32_t add_child(std::uint32_t parent, std::string_view segment);
  void remove_node(std::uint32_t at);
  [[nodiscard]] std::uint32_t find_lease(const Token& token) const;
  std::uint32_t add_lease(const Token& token, std::string_view owner);
  void remove_lease(std::uint32_t at);
  [[nodiscard]] std::string_view owner_of(const Lease& lease) const;
  [[nodiscard]] std::uint32_t find_lock(const Token& token, LockId id) const;
  [[nodiscard]] std::uint32_t find_lock(const Token& token, PathView path) const;

  [[nodiscard]] Found find_nodes(PathView path) const;
  [[nodiscard]] std::uint32_t oldest_of_others(std::span<const List* const> lists,
                                               std::size_t level, std::uint32_t own) const;
  [[nodiscard]] std::uint32_t find_blocker(const AcquireRequest& request) const;
  void append(List& list, std::uint32_t lock, std::size_t level);
  void remove(List& list, std::uint32_t lock, std::size_t level);
  void link_to_nodes(std::uint32_t lock);
  void unlink_from_nodes(std::uint32_t lock);
  [[nodiscard]] HeldLock describe(std::uint32_t lock) const;
  [[nodiscard]] std::optional<HeldLock> describe_if(std::uint32_t lock) const;

  std::uint64_t hash_seed_;
  UnitArena arena_;
  ExtendibleTable nodes_;   // (parent, segment) -> node; the root is in no table
  ExtendibleTable leases_;  // token -> lease
  std::uint32_t root_;
  LockId last_id_;
  std::size_t lock_count_ = 0;
};

}  // namespace locker::core
