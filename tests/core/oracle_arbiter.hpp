#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
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
  };
  struct Request {
    std::uint64_t number = 0;  // of the command, to name it by
    Token token;
    bool is_chosen = false;
    std::vector<Waiter::Wanted> wanted;
    std::size_t any = 0;
    Milliseconds ttl{};
    Milliseconds lock_delay{};
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
  bool release(const Token& token, const std::string& packed_path, Instant now);
  void force(const std::string& packed_path, Instant now);
  bool renew(const Token& token, Instant now);
  bool abandon(std::uint64_t number, Instant now);
  /// Does one thing that is due.
  void advance(Instant now);
  /// When things happen by themselves, in order.
  [[nodiscard]] std::vector<Instant> deadlines() const;
  [[nodiscard]] std::vector<Decision> take_decisions();
  [[nodiscard]] const std::vector<Lock>& locks() const { return locks_; }
  [[nodiscard]] const std::vector<Request>& requests() const { return requests_; }

 private:
  struct Lease {
    Milliseconds ttl{};
    Instant expires = Instant::max();
  };
  [[nodiscard]] bool is_passed(const Request& other, const Token& token) const;
  [[nodiscard]] bool is_free(const Request& request, const Waiter::Wanted& wanted,
                             std::size_t before) const;
  [[nodiscard]] std::vector<std::size_t> free_ones(const Request& request,
                                                   std::size_t before) const;
  [[nodiscard]] bool waits_for(const Token& from, const Token& to,
                               const std::vector<Request>& requests) const;
  [[nodiscard]] bool is_deadlock(const Request& request, std::size_t place) const;
  Decision grant(const Request& request, const std::vector<std::size_t>& chosen, Instant now);
  void end_locks(const Token& token, const std::string* packed_path, End reason, Instant now);
  void forget_upgrades(const Token& token, bool looks_for_deadlock);
  void advance_once(Instant now);
  void settle(Instant now);
  void stop_waiting(std::size_t place, Instant now);

  std::vector<Lock> locks_;
  std::vector<Request> requests_;  // in order of ticket
  std::map<Token, Lease> leases_;
  std::map<Token, End> ended_;
  std::vector<Decision> decisions_;
  Fence last_order_ = 0;
};

}  // namespace locker::core
