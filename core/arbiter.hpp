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

/// Who grants, refuses, queues, expires: every rule about time and order is here. A state machine:
/// the same commands at the same times give the same records and answers. No clock, no I/O, no
/// threads; not thread-safe.
///
/// Who is in whose way: DESIGN.md beside this file. Each decision that lasts is told as a record;
/// waiters are not recorded, they ask again after a restart.
class Arbiter {
 public:
  struct Limits {
    // Who waits takes none of these two before its turn, when it is refused if there is none.
    std::size_t locks_max = 20'000'000;
    std::size_t leases_max = 20'000'000;
    std::size_t waiters_max = 1'000'000;
    std::size_t waiting_bytes_max = std::size_t{1} << 30U;  ///< Of memory for all who wait.
    /// Of memory for all that is held, waits and is remembered. Only what would take more is
    /// refused: ends, renewals and what is replayed are not.
    std::size_t memory_max = std::numeric_limits<std::size_t>::max();
    std::size_t waiters_of_lease_max = 1'000;
    std::size_t locks_of_lease_max = 100'000;
    std::size_t ended_at_once_max = 1'000;  ///< Locks of a lease, in one record after the other.
    /// Who waited for what has gone is looked at again in advance(). If they are no more than this
    /// they are put in line for that at once; else each is taken from their list in its turn.
    std::size_t woken_at_once_max = 64;
  };

  /// Where decisions go. Called from inside the commands; must not call back.
  class Host {
   public:
    virtual ~Host() = default;
    virtual void on_record(const Record& record) = 0;
    /// Right behind its record; `waiting` and `left` have none. What it refers to is good as long
    /// as this takes.
    virtual void on_event(const Event& event) = 0;
    /// A queued request is decided: granted, blocked (its wait is over), …
    virtual void on_decided(WaiterId waiter, Acquired&& acquired) = 0;
    /// Whether so many bytes of records can be journaled. A reserve is kept for what ends locks:
    /// that is `reserved`.
    [[nodiscard]] virtual Room room_for(std::size_t bytes, bool reserved) const = 0;
  };

  /// What is held lies in memory of `memory`, which must outlive this.
  Arbiter(std::uint64_t hash_seed, const Limits& limits,
          std::pmr::memory_resource* memory = std::pmr::get_default_resource());

  /// Before the first command: what the journal has. False: it contradicts what is there.
  [[nodiscard]] bool replay(const Record& record);
  /// A record that is replayed soon: fetches from memory what it will look at first.
  void prefetch(const Record& record) const { table_.prefetch(record); }
  /// After the last record: all clocks start at zero, so every lease has its whole TTL. The fences
  /// to come are at least `first_fence`. The host must outlive this.
  void start(Host& host, Fence first_fence);

  /// Also renews the lease of its token, if that lives, whatever the answer is.
  [[nodiscard]] Acquired acquire(const AcquireCommand& command, const Now& now);

  /// For a fresh lease with this one lock, by the rule of the 1.0b calls; never waits.
  [[nodiscard]] LegacyAcquired acquire_legacy(PathView path, const Shape& shape,
                                              std::string_view owner, const Token& fresh_token,
                                              Milliseconds ttl, const Now& now);

  /// What the token holds at this path; else ends its request that waits for it, or gives up the
  /// place that is kept for that.
  [[nodiscard]] Released release(const Token& token, PathView path, const Now& now);
  /// The same of a lock that the token holds, and of nothing else: neither of what it waits for,
  /// nor of what it released before.
  [[nodiscard]] Released release_legacy(const Token& token, PathView path, const Now& now);
  /// Everything that the lease holds, and the lease; what it waits for it still gets. Of a token
  /// that has no lease: ends all its requests that wait, and gives up its places.
  [[nodiscard]] Released release_all(const Token& token, const Now& now);

  [[nodiscard]] LeaseAnswer open_lease(const std::optional<Token>& chosen, const Token& fresh,
                                       const std::optional<std::string>& owner, Milliseconds ttl,
                                       const Now& now);
  [[nodiscard]] LeaseAnswer renew(const Token& token, std::optional<Milliseconds> ttl,
                                  const Now& now);

  /// Ends what fits. O(locks at the path or under the prefix, waiters if they are meant, opened
  /// leases if they are).
  [[nodiscard]] Forced force(const ForceFilter& filter, const std::string& detail, const Now& now);

  /// The same in slices.
  [[nodiscard]] Forcing begin_force(const ForceFilter& filter, const std::string& detail);
  /// A slice of it. What is looked at is one step, a lock that ends steps_of_an_end. True: it is
  /// over, or the journal has no room; if that is made, it can go on.
  bool advance_force(Forcing& forcing, std::size_t steps, const Now& now);
  static constexpr std::size_t steps_of_an_end = 10;

  /// Nobody waits for this any more. With a token that the client chose the place is kept for
  /// place_kept. Returns at once; a request for many paths can stand in line for some seconds more,
  /// in which it is granted nothing, but on_decided() can come for it. False when it was decided or
  /// abandoned already.
  bool abandon(WaiterId waiter, const Now& now);
  static constexpr Duration place_kept = std::chrono::seconds{15};

  /// Does up to `limit` things that are due or left over: expiries, ends of waits, grants behind a
  /// release. True: there is more to do right now.
  bool advance(const Now& now, std::size_t limit);
  /// When advance() has something to do at the earliest.
  [[nodiscard]] std::optional<Instant> next_due() const;

  [[nodiscard]] const LockTable& table() const { return table_; }
  /// What counts for Limits::memory_max. Not what the process takes: blocks that were freed are
  /// not counted, and are given out again for others of their size. O(1).
  [[nodiscard]] std::size_t memory_bytes() const {
    return table_.memory_bytes() + ended_.memory_bytes() + deadlines_.memory_bytes() +
           (cooling_timers_.size() + opened_.size()) * map_node_bytes +
           watchers_.size() * (map_node_bytes + sizeof(Dependants)) + waiters_.bytes();
  }
  [[nodiscard]] std::size_t waiter_count() const { return waiters_.size(); }
  /// Of the leases those that were opened by themselves: they live also without locks.
  [[nodiscard]] std::size_t opened_lease_count() const { return opened_.size(); }
  [[nodiscard]] Fence last_fence() const { return last_fence_; }

  [[nodiscard]] LockInfo describe(const HeldLock& held) const;
  [[nodiscard]] static LockInfo describe(const Waiter& waiter, const Wanted& wanted);
  /// Up to `limit` of each kind; counted up to `counted_max`.
  [[nodiscard]] Covering covering(PathView path, std::size_t limit, std::size_t counted_max) const;
  /// The requests for exactly this path, in order, up to `limit`.
  [[nodiscard]] std::vector<LockInfo> waiting_at(PathView path, std::size_t limit) const;
  [[nodiscard]] std::size_t count_waiting_at(PathView path) const { return queue_.count_at(path); }
  /// The waiter that a request for exactly this path, with both flags, would stand behind; where
  /// some wait for the path itself, the one that the first of them stands behind.
  [[nodiscard]] std::optional<LockInfo> awaited_by(PathView path) const;
  [[nodiscard]] std::optional<Instant> expiry_of(const LivingLease& lease) const;
  /// What became of the token's lease, if it has ended lately.
  [[nodiscard]] std::optional<EndedMemory::Ended> ended_lease(const Token& token) const;
  /// Calls `visit` for waiters in order of ticket, from this one on, until it returns false.
  void for_each_waiter(Ticket from, const std::function<bool(const Waiter&)>& visit) const;
  /// For tests, between two calls: asserts that no waiter is forgotten, and what LockTable asserts.
  /// O(locks and waiters).
  void check_invariants() const;

 private:
  class DeadlockSearch;
  using MaybeLease = std::optional<LivingLease>;
  /// Whom a request passes, as far as that was asked: for one look at the queue.
  using Passed = std::unordered_map<const Waiter*, bool>;
  /// What is wanted, and the lock that the lease holds there.
  using HeldOfWanted = std::vector<std::pair<const Wanted*, HeldLock>>;
  struct ChosenLock {
    LockId id;
    std::uint32_t handle;
  };
  /// Of what ends a lock: its own end, and perhaps that of its lease.
  static constexpr std::size_t end_bytes = 2 * record_head_bytes;
  /// Of one lease, when it is asked who waits for them.
  static constexpr std::size_t locks_looked_at_max = 1'000;

  [[nodiscard]] bool has_memory_for(std::size_t bytes) const {
    return memory_bytes() + bytes <= limits_.memory_max;
  }

  // Who is in the way, grants, new waiters: arbiter_acquiring.cpp.
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

  // A token that is known already: arbiter_known_token.cpp.
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
  void on_lease_gone(const Token& token, Fence fence, End reason, const std::string& detail);
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
  WaitQueue queue_;  // of those that are not kept
  Rechecks rechecks_;
  EndedMemory ended_;
  DeadlineQueue deadlines_;
  Host* host_ = nullptr;
  const Limits limits_;
  Now now_;  // of the command that is carried out
  Fence last_fence_ = 0;
  // Of tickets, waiters' ids and forces, in one sequence: a force ends who was there before it.
  std::uint64_t last_number_ = 0;

  // Who is looked at again when a lock goes; by lock, of those that are watched. They can be as
  // many as there are locks: no hash table, which stops everything when it grows.
  std::map<std::uint32_t, std::unique_ptr<Dependants>> watchers_;

  SearchBudget search_budget_;
  std::set<Token> to_search_;  // leases whose requests may wait for themselves now

  std::set<Token> opened_;    // leases that were opened by themselves
  std::set<Token> expiring_;  // leases that have lost some of their locks by expiry
  mutable std::map<Token, std::size_t> counts_of_large_leases_;  // of locks
  std::map<LockId, std::uint32_t> cooling_timers_;

  Instant leaves_at_{};      // the last one whose client has left
  Instant retry_at_{};       // of what found no room for its end last
  std::size_t retries_ = 0;  // so many have their turn then
};

}  // namespace locker::core
