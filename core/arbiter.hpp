#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <limits>
#include <map>
#include <memory>
#include <memory_resource>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

#include "core/arbiter_answers.hpp"
#include "core/arbiter_commands.hpp"
#include "core/deadline_queue.hpp"
#include "core/ended_memory.hpp"
#include "core/lock_table.hpp"
#include "core/rechecks.hpp"
#include "core/record.hpp"
#include "core/room.hpp"
#include "core/search_budget.hpp"
#include "core/wait_queue.hpp"
#include "core/waiter.hpp"
#include "core/waiters.hpp"

namespace locker::core {

/// Grants, refuses, queues and expires: every rule about time and order is here. A deterministic
/// state machine: the same commands at the same times give the same records and answers. No clock,
/// no I/O, no threads; not thread-safe.
///
/// core/DESIGN.md defines which locks clash. Each lasting decision is emitted as a record. Waiters
/// are not recorded: their clients ask again after a restart.
class Arbiter {
 public:
  struct Limits {
    // A waiter counts towards neither of these two until its turn comes; it is refused then if the
    // limit has been reached.
    std::size_t locks_max = 20'000'000;
    std::size_t leases_max = 20'000'000;
    std::size_t waiters_max = 1'000'000;
    std::size_t waiting_bytes_max = std::size_t{1} << 30U;  ///< Memory of all waiters.
    /// Memory of everything that is held, waits or is remembered. Only commands that would need
    /// more are refused; ends, renewals and replay are not.
    std::size_t memory_max = std::numeric_limits<std::size_t>::max();
    std::size_t waiters_of_lease_max = 1'000;
    std::size_t locks_of_lease_max = 100'000;
    std::size_t ended_at_once_max = 1'000;  ///< Locks of one lease that end in one step.
    /// When a lock ends or a waiter leaves, advance() re-examines the waiters behind it. Up to this
    /// many are scheduled immediately; a longer list is kept, and each waiter is taken from it in
    /// its turn.
    std::size_t woken_at_once_max = 64;
  };

  /// Receives the decisions. Called from inside the commands; must not call back.
  class Host {
   public:
    virtual ~Host() = default;
    virtual void on_record(const Record& record) = 0;
    /// Called directly after the event's record; `waiting` and `left` have none. What the event
    /// refers to is valid only during this call.
    virtual void on_event(const Event& event) = 0;
    /// A queued request was decided: granted, blocked (its wait is over), …
    virtual void on_decided(WaiterId waiter, Acquired&& acquired) = 0;
    /// Whether this many bytes of records can be journaled. `reserved`: including the reserve that
    /// is kept for records that end locks.
    [[nodiscard]] virtual Room room_for(std::size_t bytes, bool reserved) const = 0;
  };

  /// Held locks and leases are stored in `memory`, which must outlive this.
  Arbiter(std::uint64_t hash_seed, const Limits& limits,
          std::pmr::memory_resource* memory = std::pmr::get_default_resource());

  /// Applies a record of the journal; before the first command. Returns false if the record
  /// contradicts the state.
  [[nodiscard]] bool replay(const Record& record);
  /// Prefetches what replaying this record will read first.
  void prefetch(const Record& record) const { table_.prefetch(record); }
  /// Call after the last record. Timers start anew, so every lease has its whole TTL, except one
  /// whose expiry had begun. Fences to come are at least `first_fence`. The host must outlive this.
  void start(Host& host, Fence first_fence);

  /// Requests one or more locks. Also renews the token's lease if it is alive, whatever the answer.
  [[nodiscard]] Acquired acquire(const AcquireCommand& command, const Now& now);

  /// Acquires one lock for a fresh lease, by the rule of the 1.0b calls; never waits.
  [[nodiscard]] LegacyAcquired acquire_legacy(PathView path, const Shape& shape,
                                              std::string_view owner, const Token& fresh_token,
                                              Milliseconds ttl, const Now& now);

  /// Releases the lock that the token holds at this path. If it holds none, ends its request that
  /// waits for the path, or gives up the place that is kept for it.
  [[nodiscard]] Released release(const Token& token, PathView path, const Now& now);
  /// Like release(), but only for a lock that the token holds: ignores what it waits for and what
  /// it released before.
  [[nodiscard]] Released release_legacy(const Token& token, PathView path, const Now& now);
  /// Releases all locks of the lease, and the lease; its waiting requests stay queued. For a token
  /// without a lease: ends all its waiting requests, and gives up its kept places.
  [[nodiscard]] Released release_all(const Token& token, const Now& now);

  [[nodiscard]] LeaseAnswer open_lease(const std::optional<Token>& chosen, const Token& fresh,
                                       const std::optional<std::string>& owner, Milliseconds ttl,
                                       const Now& now);
  [[nodiscard]] LeaseAnswer renew(const Token& token, std::optional<Milliseconds> ttl,
                                  const Now& now);

  /// Ends everything that the filter matches. O(locks at the path or under the prefix, plus all
  /// waiters and all opened leases if the filter includes them).
  [[nodiscard]] Forced force(const ForceFilter& filter, const std::string& detail, const Now& now);

  /// Begins a force that advance_force() carries out in slices.
  [[nodiscard]] Forcing begin_force(const ForceFilter& filter, const std::string& detail);
  /// Carries out one slice. Looking at one item costs one step, ending a lock steps_of_an_end.
  /// Returns true when the force is over or the journal has no room; after Outcome::busy it can go
  /// on once there is room.
  bool advance_force(Forcing& forcing, std::size_t steps, const Now& now);
  static constexpr std::size_t steps_of_an_end = 10;

  /// Tells the arbiter that the waiter's client has left. If the client chose the token, its place
  /// is kept for place_kept. Returns immediately; a request for many paths can stay queued for some
  /// seconds more, during which it is granted nothing, but on_decided() can be called for it.
  /// Returns false if the request was already decided or abandoned.
  bool abandon(WaiterId waiter, const Now& now);
  static constexpr Duration place_kept = std::chrono::seconds{15};

  /// Does up to `limit` units of work that is due or pending: expiries, ends of waits, grants after
  /// a release. Returns true if there is more to do right now.
  bool advance(const Now& now, std::size_t limit);
  /// The earliest time at which advance() has something to do.
  [[nodiscard]] std::optional<Instant> next_due() const;

  [[nodiscard]] const LockTable& table() const { return table_; }
  /// The memory that is compared with Limits::memory_max. Less than the process takes: freed blocks
  /// are not counted, as they are reused for others of their size. O(1).
  [[nodiscard]] std::size_t memory_bytes() const {
    return table_.memory_bytes() + ended_.memory_bytes() + deadlines_.memory_bytes() +
           (cooling_timers_.size() + opened_.size()) * map_node_bytes +
           watchers_.size() * (map_node_bytes + sizeof(Dependants)) + waiters_.bytes();
  }
  [[nodiscard]] std::size_t waiter_count() const { return waiters_.size(); }
  /// The leases that were opened explicitly: they live without locks, too.
  [[nodiscard]] std::size_t opened_lease_count() const { return opened_.size(); }
  [[nodiscard]] Fence last_fence() const { return last_fence_; }

  [[nodiscard]] LockInfo describe(const HeldLock& held) const;
  [[nodiscard]] static LockInfo describe(const Waiter& waiter, const Wanted& wanted);
  /// Lists up to `limit` locks of each kind, and counts them up to `counted_max`.
  [[nodiscard]] Covering covering(PathView path, std::size_t limit, std::size_t counted_max) const;
  /// The requests for exactly this path, in queue order, up to `limit`.
  [[nodiscard]] std::vector<LockInfo> waiting_at(PathView path, std::size_t limit) const;
  [[nodiscard]] std::size_t count_waiting_at(PathView path) const { return queue_.count_at(path); }
  /// The waiter that a new exclusive request for this path, with both flags, would queue behind. If
  /// requests wait for exactly this path: the waiter that the first of them is queued behind.
  [[nodiscard]] std::optional<LockInfo> awaited_by(PathView path) const;
  [[nodiscard]] std::optional<Instant> expiry_of(const LivingLease& lease) const;
  /// How the token's lease ended, if it ended recently.
  [[nodiscard]] std::optional<EndedMemory::Ended> ended_lease(const Token& token) const;
  /// Calls `visit` for the waiters in order of ticket, starting at `from`, until it returns false.
  void for_each_waiter(Ticket from, const std::function<bool(const Waiter&)>& visit) const;
  /// For tests, between two commands: asserts that no waiter is forgotten, and the invariants of
  /// LockTable. O(locks and waiters).
  void check_invariants() const;

 private:
  class DeadlockSearch;
  using MaybeLease = std::optional<LivingLease>;
  /// A cache for one look at the queue: whether the request passes a waiter.
  using Passed = std::unordered_map<const Waiter*, bool>;
  /// Wanted locks, each with the lock that the lease already holds at its path.
  using HeldOfWanted = std::vector<std::pair<const Wanted*, HeldLock>>;
  struct ChosenLock {
    LockId id;
    std::uint32_t handle;
  };
  /// The bytes of the records that end a lock: its own end, and possibly that of its lease.
  static constexpr std::size_t end_bytes = 2 * record_head_bytes;
  /// Locks of one lease that are looked at to find the waiters behind them.
  static constexpr std::size_t locks_looked_at_max = 1'000;

  [[nodiscard]] bool has_memory_for(std::size_t bytes) const {
    return memory_bytes() + bytes <= limits_.memory_max;
  }

  // Blockers, grants, new waiters: arbiter_acquiring.cpp.
  [[nodiscard]] Fence take_fence();
  [[nodiscard]] bool is_passed(const Waiter& other, const Token& token,
                               const MaybeLease& lease) const;
  [[nodiscard]] Waiter* waiter_in_the_way(const Waiter& request, const Wanted& wanted,
                                          const MaybeLease& lease, Passed& passed) const;
  [[nodiscard]] std::optional<HeldLock> holder_in_the_way(const Waiter& request,
                                                          const Wanted& wanted) const;
  [[nodiscard]] std::vector<std::size_t> free_ones(const Waiter& request) const;
  [[nodiscard]] std::vector<LockInfo> list_blockers(const Waiter& request) const;
  [[nodiscard]] std::unique_ptr<Waiter> make_request(const AcquireCommand& command) const;
  [[nodiscard]] bool has_place_for(std::size_t locks) const;
  [[nodiscard]] bool has_memory_for(const Waiter& request) const;
  [[nodiscard]] std::optional<Outcome> refusal_by_limits(const Waiter& request) const;
  [[nodiscard]] std::optional<Outcome> refusal_by_room(const Waiter& request) const;
  [[nodiscard]] Acquired try_grant(const Waiter& request, const std::vector<std::size_t>& chosen);
  [[nodiscard]] Acquired grant(const Waiter& request, const std::vector<std::size_t>& chosen);
  void change_lock(const LivingLease& lease, const HeldLock& held);
  [[nodiscard]] Acquired enqueue(std::unique_ptr<Waiter> request, Duration wait);
  [[nodiscard]] Acquired resume(Waiter& waiter, Duration wait);

  // Requests with a token that is already known: arbiter_known_token.cpp.
  [[nodiscard]] std::optional<Acquired> answer_known_token(const AcquireCommand& command,
                                                           Waiter& request);
  [[nodiscard]] std::optional<Acquired> answer_held(const AcquireCommand& command,
                                                    const LivingLease& lease, Waiter& request);
  [[nodiscard]] std::optional<TokenUse> use_by_held(const AcquireCommand& command,
                                                    const LivingLease& lease,
                                                    const HeldOfWanted& held, bool has_all) const;
  [[nodiscard]] std::optional<LeaseAnswer> answer_known_lease(const Token& token,
                                                              std::string_view owner,
                                                              Milliseconds ttl);

  // The queue: arbiter_waiting.cpp.
  void activate(Waiter& waiter, Instant deadline);
  void deactivate(Waiter& waiter);
  void remove(Waiter& waiter);
  void stop_waiting(Waiter& waiter);
  void decide(Waiter& waiter, Acquired&& acquired);
  void set_timer(Waiter& waiter, Instant deadline);
  void tell(EventKind kind, const Waiter& waiter, const std::vector<std::size_t>& except = {});
  void examine(Waiter& waiter);
  void grant_queued(Waiter& waiter, const std::vector<std::size_t>& chosen);
  [[nodiscard]] bool delay(Waiter& waiter);
  [[nodiscard]] Dependants& watchers_of(std::uint32_t lock);
  [[nodiscard]] std::unique_ptr<Dependants> take_watchers(std::uint32_t lock);
  void note_change(const Token& token, PathView path, const Shape& shape);
  std::size_t refuse_deadlocks_of(const Token& token);
  [[nodiscard]] Instant next_retry();
  std::size_t on_due(const DeadlineQueue::Due& due);
  void on_end_of_wait(Waiter& waiter);

  // Ends: arbiter_ending.cpp.
  void record(const Record& record, const Event* told = nullptr,
              const std::optional<HeldLock>& ended = std::nullopt);
  [[nodiscard]] bool has_room(std::size_t bytes, bool reserved) const;
  void end_lock(const HeldLock& held, PathView path, End reason, const std::string& detail);
  void on_path_lost(const Token& token, PathView path, const Shape& shape);
  void pass_on_terms(const LivingLease& lease);
  void on_lease_gone(const Token& token, End reason, const std::string& detail);
  [[nodiscard]] std::size_t count_ends_of(const LivingLease& lease) const;
  bool end_lease(const LivingLease& lease, End reason, const std::string& detail);
  void end_wait(Waiter& waiter, End reason, const std::string& detail);

  // Force: arbiter_forcing.cpp.
  [[nodiscard]] bool has_room_to_force(Forcing& forcing) const;
  [[nodiscard]] bool force_waiters(Forcing& forcing, std::size_t& steps);
  [[nodiscard]] bool force_locks(Forcing& forcing, std::size_t& steps);
  [[nodiscard]] bool choose_locks(Forcing& forcing, std::size_t& steps,
                                  std::vector<ChosenLock>& chosen);
  [[nodiscard]] bool force_leases(Forcing& forcing, std::size_t& steps);

  // Leases: arbiter_leases.cpp.
  [[nodiscard]] MaybeLease find_living(const Token& token) const;
  void start_timer(const LivingLease& lease, Instant deadline);
  void stop_timer(const LivingLease& lease);
  void restart_timer(const Token& token);
  void change_ttl(const LivingLease& lease, Milliseconds ttl);
  void note_renewal(const Token& token);
  void name_waiters(const Token& token, std::string_view owner);
  [[nodiscard]] bool is_only_lock(const LivingLease& lease) const;
  [[nodiscard]] std::size_t count_locks_of(const LivingLease& lease) const;
  void count_lock(const Token& token, bool is_new);

  // Replay and start: arbiter_starting.cpp.
  void start_timers();

  LockTable table_;
  Waiters waiters_;
  WaitQueue queue_;  // waiters whose place is not merely kept
  Rechecks rechecks_;
  EndedMemory ended_;
  DeadlineQueue deadlines_;
  Host* host_ = nullptr;
  const Limits limits_;
  Now now_;  // of the current command
  Fence last_fence_ = 0;
  // One sequence for tickets, waiter ids and forces, so that a force ends only earlier waiters.
  std::uint64_t last_number_ = 0;

  // By watched lock: the waiters to re-examine when it ends. There can be as many as locks, so this
  // is not a hash table, which would stall everything when it grows.
  std::map<std::uint32_t, std::unique_ptr<Dependants>> watchers_;

  SearchBudget search_budget_;
  std::set<Token> to_search_;  // leases whose requests may be in a deadlock

  std::set<Token> opened_;    // leases that were opened explicitly
  std::set<Token> expiring_;  // leases that have lost some of their locks by expiry
  mutable std::map<Token, std::size_t> counts_of_large_leases_;  // number of locks
  std::map<LockId, std::uint32_t> cooling_timers_;

  Instant leaves_at_{};      // when the last waiter whose client has left leaves the queue
  Instant retry_at_{};       // when the latest end that found no journal room is retried
  std::size_t retries_ = 0;  // how many ends are retried then
};

}  // namespace locker::core
