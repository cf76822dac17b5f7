#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "core/arbiter.hpp"

namespace locker::core {

/// The rules of Arbiter in the simplest words: flat lists, every pair compared, everything looked
/// at again after every command.
class OracleArbiter {
 public:
  struct Lock {
    Token token;
    std::string packed_path;
    Shape shape;
    Fence order = 0;
    bool is_cooling = false;
    Instant cools_until{};
    Milliseconds lock_delay{};
    std::string owner;
    std::string meta;
  };
  struct Request {
    std::uint64_t number = 0;  // of the command, to name it by
    Token token;
    bool is_chosen = false;
    std::vector<Waiter::Wanted> wanted;
    std::size_t any = 0;
    std::optional<std::string> asked_owner;
    std::string owner;  ///< Of its lease, or of the one that a grant opens.
    std::optional<Milliseconds> ttl;
    Milliseconds default_ttl{};
    Milliseconds lock_delay{};
    std::string meta;
    Instant deadline{};
    bool is_kept = false;
    bool is_upgrade = false;
    bool had_lease = false;
  };
  struct Decision {
    std::uint64_t number = 0;
    Outcome outcome = Outcome::granted;
    std::vector<std::string> paths;
    friend auto operator<=>(const Decision&, const Decision&) = default;
  };

  /// Returns the immediate answer; what it caused besides is in take_decisions().
  Decision acquire(const Request& request, Instant wait, Instant now);
  Arbiter::ReleaseOutcome release(const Token& token, const std::string& packed_path, Instant now);
  Arbiter::ReleaseOutcome release_all(const Token& token, Instant now);
  Arbiter::LeaseOutcome open_lease(const Token& token, const std::string& owner, Milliseconds ttl,
                                   Instant now);
  Arbiter::LeaseOutcome renew(const Token& token, std::optional<Milliseconds> ttl, Instant now);
  /// By the rule of the seed's verbs, for a fresh lease.
  bool acquire_for_seed(const Token& token, const Waiter::Wanted& wanted, const std::string& owner,
                        Milliseconds ttl, Instant now);
  /// How many ended.
  std::size_t force(const Arbiter::ForceFilter& filter, Instant now);
  bool abandon(std::uint64_t number, Instant now);
  /// Does one thing that is due.
  void advance(Instant now);
  /// When things happen by themselves, in order.
  [[nodiscard]] std::vector<Instant> deadlines() const;
  [[nodiscard]] std::vector<Decision> take_decisions();
  [[nodiscard]] const std::vector<Lock>& locks() const { return locks_; }
  [[nodiscard]] const std::vector<Request>& requests() const { return requests_; }
  /// Somebody waits who would wait for ever.
  [[nodiscard]] bool has_deadlock() const;

  struct Lease {
    Milliseconds ttl{};
    Instant expires = Instant::max();
    std::string owner;
    bool is_opened = false;  ///< By itself: lives without locks.
  };
  [[nodiscard]] const std::map<Token, Lease>& leases() const { return leases_; }
  /// What became of leases that are no more.
  [[nodiscard]] const std::map<Token, End>& ended() const { return ended_; }

 private:
  [[nodiscard]] bool is_passed(const Request& other, const Token& token) const;
  [[nodiscard]] bool is_free(const Request& request, const Waiter::Wanted& wanted,
                             std::size_t before) const;
  [[nodiscard]] std::vector<std::size_t> free_ones(const Request& request,
                                                   std::size_t before) const;
  [[nodiscard]] bool waits_for(std::size_t place, const Token& to,
                               const std::vector<Request>& requests) const;
  [[nodiscard]] bool waits_for_itself(std::vector<std::size_t> places,
                                      const std::vector<Request>& requests) const;
  [[nodiscard]] bool is_deadlock(const Request& request, std::size_t place) const;
  void note_change(const Token& token, const Waiter::Wanted& changed);
  void refuse_deadlocks_of(const Token& token);
  Decision grant(const Request& request, const std::vector<std::size_t>& chosen, Instant now);
  void end_locks(const Token& token, const std::string* packed_path, End reason, Instant now);
  void restart_clock(Lease& lease, Instant now) const;
  void forget_upgrades(const Token& token);
  void advance_once(Instant now);
  void settle(Instant now);
  void stop_waiting(std::size_t place, Instant now);

  std::vector<Lock> locks_;
  std::vector<Request> requests_;  // in order of ticket
  std::map<Token, Lease> leases_;
  std::map<Token, End> ended_;
  std::map<std::pair<Token, std::string>, End> ended_locks_;
  std::vector<Decision> decisions_;
  std::set<Token> changed_;  // leases that have got or lost what others wait for
  Fence last_order_ = 0;
};

}  // namespace locker::core
