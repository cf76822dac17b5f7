#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <memory_resource>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>

#include "core/extendible_table.hpp"
#include "core/hash.hpp"
#include "core/held_lock.hpp"
#include "core/lock.hpp"
#include "core/path.hpp"
#include "core/record.hpp"
#include "core/unit_arena.hpp"

namespace locker::core {

/// A request that the table checks against the locks that are held.
struct AcquireRequest {
  PathView path;
  Shape shape;
  ClashRule rule = ClashRule::symmetric;
  /// Locks of the lease with this token never clash with the request. Null: a fresh lease.
  std::optional<Token> token = std::nullopt;
};

class LockCursor;

/// The held locks and living leases: state without clock, I/O, threads or randomness. The same
/// calls give the same state and the same answers everywhere; the hash seed affects neither.
///
/// Not thread-safe, and neither are its const calls: they cache what they found last. A check costs
/// O(path depth) whatever is held, except that the locks of the request's own lease are skipped one
/// by one. core/DESIGN.md describes the structure.
///
/// Invariants (asserted by check_invariants(); they do not hold between an End::changed and the
/// grant that follows it):
///   1. A node's lists hold exactly the locks at it and below it, in order of grant.
///   2. Every node but the root has a lock at it or below it.
///   3. Every lease has a lock, or was opened explicitly.
///   4. A cooling lock belongs to no lease.
class LockTable {
 public:
  /// Held locks and leases are stored in `memory`, which must outlive this.
  explicit LockTable(std::uint64_t hash_seed = 0,
                     std::pmr::memory_resource* memory = std::pmr::get_default_resource());

  /// Returns the lock that is named as the reason of a refusal: the nearest at or above the path
  /// (the path itself first), else the oldest below it. Null: nothing is in the way, and the
  /// request's Granted may be applied immediately.
  [[nodiscard]] std::optional<HeldLock> blocker(const AcquireRequest& request) const;

  /// Returns the lock that blocks an exclusive request of the 1.0b calls for this path: the answer
  /// of `dohaz`.
  [[nodiscard]] std::optional<HeldLock> legacy_blocker(PathView path) const;

  /// Returns the lock that this token holds at exactly this path.
  [[nodiscard]] std::optional<HeldLock> held_by(const Token& token, PathView path) const;

  /// Calls `visit` for the locks that block the request, until it returns false: first those at and
  /// above the path, nearest first; then those below. Those at exactly the path can be left out.
  /// O(their number).
  void for_each_blocker(const AcquireRequest& request,
                        const std::function<bool(const HeldLock&)>& visit,
                        bool also_at_path = true) const;
  /// Calls `visit` for the locks at exactly this path, until it returns false.
  void for_each_lock_at(PathView path, const std::function<bool(const HeldLock&)>& visit) const;

  /// Applies a decision without checking it again. `ended` is the lock that the record ends or
  /// begins to cool; null: none. The overload without it calls find_ended(). REQUIRES, for a grant
  /// and an opened lease: the id is above all others, and the lease holds no lock at the path, or
  /// is not alive; for other records: the lock is held, the lease is alive.
  void apply(const Record& record, const std::optional<HeldLock>& ended);
  void apply(const Record& record) { apply(record, find_ended(record)); }

  /// Applies a record of a journal, which may contradict the state if a file was damaged in a way
  /// that no checksum detects. Returns false in that case, and changes nothing.
  [[nodiscard]] bool try_apply(const Record& record, const std::optional<HeldLock>& ended);
  [[nodiscard]] bool try_apply(const Record& record) {
    return try_apply(record, find_ended(record));
  }
  /// Finds the lock that the record ends, by its id. O(1) for the lease's oldest and newest lock;
  /// otherwise searches the locks of the lease from both ends. When long searches have cost as much
  /// as an index of all locks would, builds one (up to 26 bytes per lock, which memory_bytes() does
  /// not count).
  [[nodiscard]] std::optional<HeldLock> find_ended(const Record& record);
  /// Drops that index; call after the last record of a journal.
  void forget_index() { index_.reset(); }
  /// Prefetches what applying this record will read first.
  void prefetch(const Record& record) const;

  [[nodiscard]] std::optional<LivingLease> find_lease_of(const Token& token) const;
  [[nodiscard]] LivingLease lease_at(std::uint32_t handle) const;
  /// Returns the lock that the lease holds at exactly this path.
  [[nodiscard]] std::optional<HeldLock> held_by(const LivingLease& lease, PathView path) const;
  /// Whether the lease holds a lock that clashes with one of this shape at `path`, by the symmetric
  /// rule. O(path depth + the smaller of: locks of the lease, locks in the way there). Repeated
  /// calls for one lease look at its locks only once, until one of them ends.
  [[nodiscard]] bool holds_clash(const LivingLease& lease, PathView path, const Shape& shape) const;
  /// How often holds_clash() was called, and how often it, or a search for a lock by its id, looked
  /// at a lock. Lets callers limit the cost of repeated calls.
  [[nodiscard]] std::uint64_t search_steps() const { return search_steps_; }
  /// Calls `visit` for the locks of the lease with an id above `after`, oldest first, until it
  /// returns false. The first one is searched for from both ends. `visit` may end the lock that it
  /// is shown; during every other for_each the table must not change.
  void for_each_lock_of(const LivingLease& lease, const std::function<bool(const HeldLock&)>& visit,
                        LockId after = {}) const;
  /// The same, newest first.
  void for_each_newest_lock_of(const LivingLease& lease,
                               const std::function<bool(const HeldLock&)>& visit) const;
  /// Calls `visit` for the locks of the same lease that are newer than this one, oldest first,
  /// until it returns false. O(1) to find the first. REQUIRES: the lock is not cooling.
  void for_each_lock_behind(const HeldLock& held,
                            const std::function<bool(const HeldLock&)>& visit) const;
  /// Returns the lock's lease; null if the lock is cooling.
  [[nodiscard]] std::optional<LivingLease> lease_of(const HeldLock& held) const;
  [[nodiscard]] HeldLock lock_at(std::uint32_t handle) const;

  /// The timer that ends the lease: a number that the caller stores with a lease that has a TTL or
  /// was opened explicitly. Zero at first, and for other leases.
  [[nodiscard]] std::uint32_t timer_of(std::uint32_t lease) const;
  void set_timer(std::uint32_t lease, std::uint32_t timer);
  /// Whether there is a lease with a TTL, one that was opened explicitly, or a cooling lock.
  [[nodiscard]] bool has_deadlines() const { return deadline_count_ != 0 || !cooling_.empty(); }
  /// A mark that the caller sets on a lock that requests wait for.
  [[nodiscard]] bool is_watched(std::uint32_t lock) const;
  void watch(std::uint32_t lock);

  [[nodiscard]] std::size_t lock_count() const { return lock_count_; }
  /// Whether its 16 GiB of memory have nearly all been allocated, so that no lock should be
  /// granted. Stays true until the next start, however much is freed.
  [[nodiscard]] bool is_nearly_full() const { return arena_.is_nearly_full(); }
  /// The approximate memory of what is held. O(1).
  [[nodiscard]] std::size_t memory_bytes() const {
    return arena_.bytes_in_use() + nodes_.bytes() + leases_.bytes() +
           cooling_.size() * map_node_bytes;
  }
  [[nodiscard]] std::size_t lease_count() const { return leases_.size(); }
  /// The most records that it takes to end everything that is held: one for each lock and each
  /// lease, and one more for each lock that has yet to cool. O(1).
  [[nodiscard]] std::size_t ends_max() const {
    return lock_count_ + delayed_count_ + leases_.size();
  }
  [[nodiscard]] std::size_t node_count() const { return nodes_.size(); }

  [[nodiscard]] Path path_of(const HeldLock& held) const;
  /// REQUIRES: not cooling.
  [[nodiscard]] const Token& token_of(const HeldLock& held) const;
  [[nodiscard]] std::string_view meta_of(const HeldLock& held) const;
  [[nodiscard]] Milliseconds lock_delay_of(const HeldLock& held) const;
  /// The highest id of all records applied so far.
  [[nodiscard]] LockId last_id() const { return last_id_; }
  /// Returns the lock that was granted first; null: nothing is held.
  [[nodiscard]] std::optional<HeldLock> oldest() const;
  /// Calls `visit` for each lock, oldest first. O(locks).
  void for_each_lock(const std::function<void(const HeldLock&)>& visit) const;
  /// For tests: asserts the invariants. O(locks).
  void check_invariants() const;

 private:
  friend class LockCursor;
  struct Node;
  struct Below;
  struct Lock;
  struct LockDetails;
  struct Lease;
  struct LeaseTerms;
  struct List;
  struct Link;
  /// The nodes on the way to a path.
  struct Found {
    std::array<std::uint32_t, segments_max + 1> nodes{};  // from the root to the deepest existing
    std::array<std::uint32_t, segments_max> hashes{};     // of all segments, from the first
    std::size_t level = 0;                                // of the deepest node that exists
    std::size_t depth = 0;                                // of the path
    [[nodiscard]] bool is_whole() const { return level == depth; }
  };
  /// The lease of a token.
  struct FoundLease {
    Token token;
    std::uint32_t hash = 0;
    std::uint32_t at = UnitArena::null;  // null: no lease has the token
  };
  /// Where a lease holds locks, as far as these have been looked at.
  struct Holdings {
    std::uint32_t lease = UnitArena::null;
    std::uint32_t next = UnitArena::null;  // its first lock that has not been looked at
    std::unordered_map<std::uint32_t, std::uint8_t> nodes;  // bits of here_bit() and below_bit()
  };
  static const std::size_t node_units;
  static const std::size_t below_units;
  static const std::size_t lease_units;
  [[nodiscard]] static std::size_t lock_units(std::size_t depth);

  // The layout in memory: lock_table_layout.hpp.
  [[nodiscard]] Node& node(std::uint32_t at) const;
  [[nodiscard]] const Below& below(const Node& of) const;
  [[nodiscard]] Below& below_for(Node& of);
  [[nodiscard]] const List& list_of(const Node& of, std::size_t number) const;
  [[nodiscard]] bool is_empty(const Node& of) const;
  [[nodiscard]] Lock& lock(std::uint32_t at) const;
  [[nodiscard]] static Link* links(Lock& of);
  [[nodiscard]] std::uint32_t next_of(const List& list, std::uint32_t lock,
                                      std::size_t level) const;
  [[nodiscard]] Lease& lease(std::uint32_t at) const;
  [[nodiscard]] LeaseTerms* terms_of(const Lease& lease) const;
  [[nodiscard]] std::string_view owner_of(const Lease& lease) const;

  // Nodes.
  [[nodiscard]] std::string_view segment_of(const Node& node) const;
  [[nodiscard]] bool is_child(std::uint32_t at, std::uint32_t parent,
                              std::string_view segment) const;
  std::uint32_t add_node(bool is_inner);
  std::uint32_t add_child(std::uint32_t parent, std::string_view segment, std::uint32_t hash,
                          bool is_inner);
  void add_nodes(PathView path, Found& found);
  void remove_node(std::uint32_t at, std::uint32_t hash);
  [[nodiscard]] Below& separate_below_for(Node& of);
  Found& find_nodes(PathView path) const;
  const Found& find_nodes_of(const Lock& lock);
  void hash_segments(PathView path, Found& found) const;

  // The lists of nodes.
  void link_pending(List& list, std::size_t level);
  void prefetch_pending(const List& list, std::size_t level) const;
  void append(List& list, std::uint32_t lock, Link& link, std::size_t level);
  void remove(List& list, std::uint32_t lock, const Link& link, std::size_t level);
  void link_to_nodes(std::uint32_t lock, const Found& found);
  void unlink_from_nodes(std::uint32_t lock);

  // Locks.
  void set_details(std::uint32_t lock, Milliseconds lock_delay, std::string_view meta,
                   std::string_view owner);
  void free_details(std::uint32_t lock);
  [[nodiscard]] Milliseconds lock_delay_of(std::uint32_t lock) const;
  [[nodiscard]] std::optional<HeldLock> lock_unless_null(std::uint32_t handle) const;

  // Records of each kind, and whether they can be applied.
  using EndedLock = std::optional<HeldLock>;
  void apply_kind(const Granted& granted);
  void apply_kind(const LeaseOpened& opened);
  void apply_kind(const TtlChanged& changed);
  void apply_kind(const Cooling& cooling, const EndedLock& held);
  void apply_kind(const Ended& ended, const EndedLock& held);
  [[nodiscard]] bool fits(const Granted& granted) const;
  [[nodiscard]] bool fits(const LeaseOpened& opened) const;
  [[nodiscard]] bool fits(const TtlChanged& changed) const;
  [[nodiscard]] bool fits(const Ended& ended, const EndedLock& held) const;

  // Leases: lock_table_leases.cpp.
  [[nodiscard]] std::uint32_t hash_token(const Token& token) const;
  FoundLease& find_token(const Token& token) const;
  void prefetch_lease(const Token& token) const;
  [[nodiscard]] std::uint32_t find_lease(const Token& token) const;
  std::uint32_t add_lease(const Token& token, std::string_view owner, Milliseconds ttl,
                          Fence opened_fence = 0);
  void put_details(Lease& lease, std::string_view owner, bool has_terms);
  void free_details(const Lease& lease);
  LeaseTerms& terms_for(Lease& lease);
  void set_terms(LeaseTerms& terms, Milliseconds ttl, Fence opened_fence);
  void remove_lease(std::uint32_t at);
  void link_to_lease(std::uint32_t lock, std::uint32_t lease);
  void unlink_from_lease(std::uint32_t lock, End reason);
  [[nodiscard]] std::uint32_t find_lock(const Token& token, LockId id);
  [[nodiscard]] std::uint32_t find_lock(std::uint32_t lease, PathView path) const;
  void make_index();
  [[nodiscard]] std::uint32_t first_lock_behind(std::uint32_t lease, LockId after) const;
  void visit_from(std::uint32_t lock, const std::function<bool(const HeldLock&)>& visit) const;

  // Blockers: lock_table_blockers.cpp.
  [[nodiscard]] std::uint32_t oldest_of_others(std::span<const List* const> lists,
                                               std::size_t level, std::uint32_t own) const;
  template <typename Visit>
  void visit_lists_in_the_way(const AcquireRequest& request, const Found& found,
                              const Visit& visit) const;
  [[nodiscard]] std::uint32_t find_blocker(const AcquireRequest& request) const;
  void note_holding(std::uint32_t lock) const;
  [[nodiscard]] bool is_noted(const Found& found, const Shape& shape) const;

  void move_cursors_before(std::uint32_t lock);  // lock_cursor.cpp

  Hash hash_;
  UnitArena arena_;
  ExtendibleTable nodes_;        // (parent, segment) -> node; without the root
  ExtendibleTable leases_;       // token -> lease
  std::uint32_t nothing_below_;  // the empty Below that all leaves share
  std::uint32_t root_;
  // The last lookups, with their packed path and token: a decision repeats the same ones two to
  // five times. Caching the path saves a tenth of the time of an acquire-release pair, caching the
  // lease a sixth.
  mutable Found found_;
  mutable std::string found_path_;
  mutable bool found_is_good_ = false;
  mutable FoundLease found_lease_;
  mutable Holdings holdings_;             // of the lease that was asked about last
  std::optional<ExtendibleTable> index_;  // id -> lock; without those that cool
  std::uint64_t long_search_steps_ = 0;   // of searches without the index
  mutable std::uint64_t search_steps_ = 0;
  LockId last_id_;
  std::size_t lock_count_ = 0;
  std::size_t delayed_count_ = 0;   // locks with a lock-delay that do not cool yet
  std::size_t deadline_count_ = 0;  // leases with a TTL, or opened explicitly
  std::map<LockId, std::uint32_t> cooling_;
  mutable std::set<LockCursor*> kept_cursors_;
};

}  // namespace locker::core
