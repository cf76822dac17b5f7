#pragma once

#include <algorithm>
#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "core/arbiter.hpp"

namespace locker::core {

/// The rules of Arbiter in their simplest form: flat lists, every pair compared, everything
/// re-examined whenever it settles. A value: a copy shows the result of another order.
class OracleArbiter {
 public:
  /// The room that the journal has.
  struct Rooms {
    Room grants = Room::enough;
    Room ends = Room::enough;
    /// For grants, if `grants` is enough.
    std::size_t bytes = std::size_t{1} << 40U;
  };
  struct Lock {
    Token token;
    std::string packed_path;
    Shape shape;
    Fence fence = 0;
    bool is_cooling = false;
    Instant cools_until{};
    Milliseconds lock_delay{};
    std::string owner;
    std::string meta;
  };
  struct Request {
    std::uint64_t number = 0;  // of the command; identifies it
    Token token;
    bool is_chosen = false;
    std::vector<Wanted> wanted;
    std::size_t any = 0;
    std::optional<std::string> asked_owner;
    std::string owner;  ///< Of its lease, or of the one that a grant opens.
    std::optional<Milliseconds> ttl;
    Milliseconds default_ttl{};
    Milliseconds lock_delay{};
    std::string meta;
    Instant since{};  ///< When the wait began.
    Instant deadline{};
    bool is_kept = false;
    bool changes_mode = false;
    bool is_delayed = false;  ///< The journal has room, but not enough for its grant.
    /// The TTL with which its lease was last renewed, if that was after this request arrived.
    std::optional<Milliseconds> promised{};
  };
  struct Decision {
    std::uint64_t number = 0;
    Outcome outcome = Outcome::granted;
    std::vector<std::string> paths;
    Duration waited{};
    End reason = End::expired;            ///< Of a lease that has ended.
    std::string detail{};                 ///< Of a lease that has ended, too.
    std::vector<std::string> blockers{};  ///< See set_blockers(). In any order.
    friend auto operator<=>(const Decision&, const Decision&) = default;
  };
  /// Sets all blockers, or none if there are more than a refusal names.
  static void set_blockers(const std::vector<LockInfo>& blockers, Decision& decision);

  explicit OracleArbiter(const Arbiter::Limits& limits) : limits_(limits) {}
  void set_rooms(const Rooms& rooms) { rooms_ = rooms; }

  /// Returns the immediate answer; take_decisions() has everything else that it caused. Commands
  /// grant nothing to waiters: see settle().
  Decision acquire(const Request& request, Duration wait, Instant now);
  Released release(const Token& token, const std::string& packed_path, Instant now);
  Released release_all(const Token& token, Instant now);
  LeaseOutcome open_lease(const Token& token, const std::string& owner, Milliseconds ttl,
                          Instant now);
  LeaseOutcome renew(const Token& token, std::optional<Milliseconds> ttl, Instant now);
  /// For a fresh lease, by the rule of the 1.0b calls.
  Outcome acquire_legacy(const Token& token, const Wanted& wanted, const std::string& owner,
                         Milliseconds ttl, Instant now);
  Forced force(const ForceFilter& filter, const std::string& detail, Instant now);
  bool abandon(std::uint64_t number, Instant now);

  /// Whether a request waits for more room than the journal has.
  [[nodiscard]] bool has_delayed() const;

  /// An event due by time: the end of a lease, of a cooling lock, or of a wait.
  struct Due {
    Instant when{};
    std::optional<Token> lease{};
    Fence cooling = 0;  // its fence
    std::string packed_path{};
    std::uint64_t request = 0;  // its number
  };
  /// Returns what is due next; several things if they are due at the same time, in any order.
  [[nodiscard]] std::vector<Due> next_due() const;
  void end(const Due& due, Instant now);
  /// Grants what can be granted, and refuses deadlocks, until there are this many decisions to
  /// take. REQUIRES: nothing is due.
  void settle(Instant now, std::size_t decisions_max = ~std::size_t{0});
  /// Whether settle() would grant something to a waiter.
  [[nodiscard]] bool can_grant() const;
  /// No queued request is granted before this time, because the journal makes room.
  [[nodiscard]] Instant stuck_until() const { return stuck_until_; }
  /// Delayed requests are not granted before this time.
  [[nodiscard]] Instant delayed_until() const { return delayed_until_; }
  /// Drops all waiters, and time begins anew. A journal remembers what has ended; a snapshot does
  /// not.
  void restart(bool from_snapshot);

  [[nodiscard]] std::vector<Decision> take_decisions();
  [[nodiscard]] const std::vector<Lock>& locks() const { return locks_; }
  [[nodiscard]] const std::vector<Request>& requests() const { return requests_; }
  /// Whether a request would wait for ever.
  [[nodiscard]] bool has_deadlock() const;
  /// Whether each step waits for the next one, for the reason that it states, and the last for the
  /// first, which is the request itself. REQUIRES: the request has not been made yet.
  [[nodiscard]] bool is_cycle(const Request& asked, const std::vector<CycleStep>& cycle) const;
  /// The held locks that are in the way of this request.
  [[nodiscard]] std::vector<Lock> holders_in_the_way(const Request& request) const;
  /// How many requests of others want what this lease holds.
  [[nodiscard]] std::size_t waiters_behind(const Token& token) const;

  struct Lease {
    Milliseconds ttl{};
    Instant expires = Instant::max();
    std::string owner;
    bool is_opened = false;  ///< Explicitly: lives without locks.
  };
  [[nodiscard]] const std::map<Token, Lease>& leases() const { return leases_; }
  struct Ended {
    End reason = End::released;
    Fence fence = 0;  ///< Of a lock.
    std::string detail{};
  };
  /// How the leases that are no more have ended.
  [[nodiscard]] const std::map<Token, Ended>& ended() const { return ended_; }
  /// The number of requests that were ended by force or by their own client.
  [[nodiscard]] std::uint64_t waits_ended() const { return waits_ended_; }
  [[nodiscard]] std::size_t locks_of(const Token& token) const;
  [[nodiscard]] Fence newest_fence_of(const Token& token) const;
  /// Whether a lease has lost some of its locks by expiry, and not yet all.
  [[nodiscard]] bool has_expiring() const { return !expiring_.empty(); }

 private:
  [[nodiscard]] bool is_passed(const Request& other, const Token& token) const;
  [[nodiscard]] bool is_free(const Request& request, const Wanted& wanted,
                             std::size_t before) const;
  [[nodiscard]] std::vector<std::size_t> free_ones(const Request& request,
                                                   std::size_t before) const;
  [[nodiscard]] bool waits_for(std::size_t place, const Token& to,
                               const std::vector<Request>& requests) const;
  [[nodiscard]] bool is_blocked_as_told(const CycleStep& step, std::size_t place,
                                        const Wanted& wanted, const Token& by,
                                        const std::vector<Request>& requests) const;
  [[nodiscard]] bool waits_for_itself(std::vector<std::size_t> places,
                                      const std::vector<Request>& requests) const;
  [[nodiscard]] bool is_deadlock(const Request& request, std::size_t place) const;
  void note_change(const Token& token, const Wanted& changed);
  void refuse_deadlocks_of(const Token& token, Instant now);
  [[nodiscard]] std::optional<Outcome> refusal_by_limits(const Request& request) const;
  [[nodiscard]] std::optional<Outcome> refusal_of(const Request& request) const;
  void delay(Request& request, Instant now);
  [[nodiscard]] std::vector<LockInfo> list_blockers(const Request& request,
                                                    std::size_t before) const;
  /// The decision about a request that waits.
  [[nodiscard]] static Decision decision(const Request& request, Outcome outcome, Instant now) {
    return {request.number, outcome, {}, now - request.since};
  }
  Decision grant(const Request& request, const std::vector<std::size_t>& chosen, Instant now);
  void decide(const Request& request, const std::vector<std::size_t>& free,
              std::optional<Outcome> refusal, Instant now);
  [[nodiscard]] Fence take_fence(Instant now) {
    return last_fence_ =
               std::max(last_fence_ + 1, static_cast<Fence>(now.time_since_epoch().count()));
  }
  [[nodiscard]] bool has(const Token& token) const { return leases_.contains(token); }
  [[nodiscard]] bool is_living(const Token& token) const {
    return has(token) && !expiring_.contains(token);
  }
  [[nodiscard]] bool has_room_for_ends() const { return rooms_.ends == Room::enough; }
  void end_lock(std::size_t place, End reason, const std::string& detail, Instant now);
  void end_lease(const Token& token, End reason, const std::string& detail, Instant now);
  Instant retry_at(Instant now);
  void expire(const Token& token, Instant now);
  void end_wait(std::size_t place, Instant now);
  void refuse_waiters_of(const Token& token, Instant now);
  void end_waits(const std::function<bool(const Request&)>& fits, const Ended& why, Instant now);
  void note_lease(const Token& token, const std::optional<Ended>& ended);
  void note_lock(const std::pair<Token, std::string>& lock, const Ended& ended);
  void restart_clock(Lease& lease, Instant now) const;
  void keep_alive(const Token& token, Instant now);
  void name(const Token& token, const std::string& owner);
  void stop_waiting(std::size_t place, Instant now);

  Arbiter::Limits limits_;
  Rooms rooms_;
  std::vector<Lock> locks_;        // in order of grant
  std::vector<Request> requests_;  // in order of ticket
  std::map<Token, Lease> leases_;
  std::map<Token, Ended> ended_;
  std::map<std::pair<Token, std::string>, Ended> ended_locks_;
  // What a restart restores in place of how waits ended, which is not journaled.
  std::map<Token, std::optional<Ended>> journaled_;
  std::map<std::pair<Token, std::string>, std::optional<Ended>> journaled_locks_;
  std::uint64_t waits_ended_ = 0;
  std::vector<Decision> decisions_;
  std::set<Token> changed_;   // leases that have got or lost what others wait for
  std::set<Token> expiring_;  // leases that have lost some of their locks by expiry
  Instant stuck_until_{};
  Instant delayed_until_{};
  Instant retry_at_{};  // when ends that found no room are retried
  Fence last_fence_ = 0;
};

}  // namespace locker::core
