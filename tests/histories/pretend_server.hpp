#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "tests/histories/check.hpp"
#include "tests/histories/choices.hpp"

namespace locker::histories {

/// What a pretended server does wrong, once in a while.
enum class Wrong : std::uint8_t {
  nothing,
  overlap,        ///< Grants what is held.
  child_overlap,  ///< Does not see what is held below.
  lost_lock,      ///< Forgets a lock without ending it.
  lost_record,    ///< Tells of a grant that the journal does not have.
  unasked_grant,  ///< Journals a lock that nobody wanted.
  falling_fence,
  stale_state,       ///< Answers with an older state than somebody saw before.
  other_index,       ///< Tells an index at which it was not so.
  baseless_refusal,  ///< Names somebody who is not in the way.
  empty_refusal,     ///< Names nobody.
  left_out_blocker,  ///< Names not all.
  overtaking,        ///< Grants to who came later.
  other_fence,       ///< Tells another fence than it journaled.
  other_mode,        ///< Tells another mode than it journaled.
  shorter_ttl,       ///< Tells a TTL that is shorter than the client asked for.
  blind_look,        ///< Shows a path as free that is not.
  blind_dohaz,
  wrong_witness,  ///< dohaz names another than the nearest.
  early_expiry,
  unrenewed_refusal,  ///< Does not take an acquire that it refuses for a renewal.
  no_expiry,
  early_refusal,        ///< Ends a wait too early.
  second_grant,         ///< Gives a repeated request another lock.
  forgotten_end,        ///< Tells of a release that it did not do.
  other_lease_renewed,  ///< Says that a lease lives that has ended.
  living_lease_ended,   ///< Says that a lease has ended that lives.
  grant_to_who_left,
  force_untold,  ///< Ends more than it says.
  torn_store,    ///< A start would not read a lock that is held.
  full_disk,     ///< Refuses for want of a disk's space.
  draining,      ///< Refuses as if it stopped.
  busy_look,     ///< Refuses to look while its journal makes room.
  often_busy,    ///< Its journal makes room for most of the time.
};

/// A lock server in virtual time with clients, in one small loop: what it did is evidence for
/// check(), right, or wrong in one way. It knows the rules in the simplest form: everything is
/// looked at again after every command.
class PretendServer {
 public:
  PretendServer(std::uint64_t seed, Wrong wrong);
  /// Clients do so many things.
  [[nodiscard]] Evidence run(std::size_t operations);
  /// How often it did it wrong.
  [[nodiscard]] std::size_t wrongs() const { return wrongs_; }

 private:
  struct Held {
    Record grant;
    std::string token;
  };
  struct Lease {
    std::uint64_t number = 0;
    std::string owner;
    std::int64_t ttl_ms = 0;
    Nanoseconds expires = 0;
    bool never_expires = false;  ///< Wrong::no_expiry.
  };
  struct Client {
    unsigned number = 0;
    unsigned leases = 0;
    std::string token;
    std::string owner;
    std::int64_t ttl_ms = 0;
    std::vector<Wanted> held;
    bool by_canhaz = false;
  };
  struct Call {
    Operation operation;
    Client* client = nullptr;
    std::uint64_t life = 0;  // of the server
    bool is_left = false;
  };
  using CallPointer = std::shared_ptr<Call>;

  [[nodiscard]] bool goes_wrong(Wrong wrong);
  void at(Nanoseconds time, std::function<void()> what);
  // Clients.
  void think(Client& client);
  [[nodiscard]] Operation choose(Client& client);
  void send(Client& client, Operation operation);
  void lose(const CallPointer& call);
  void get(const CallPointer& call, unsigned status, std::string body, Index index);
  void learn(Client& client, const Operation& operation);
  // The server.
  void decide(const CallPointer& call);
  [[nodiscard]] bool refuses_undecided(const CallPointer& call);
  void canhaz(const CallPointer& call);
  void acquire(const CallPointer& call);
  void refuse(const CallPointer& call);
  void wait(const CallPointer& call);
  void release(const CallPointer& call);
  void release_all(const CallPointer& call);
  void renew(const CallPointer& call);
  void force(const CallPointer& call);
  void dohaz(const CallPointer& call);
  void look(const CallPointer& call);
  void answer(const CallPointer& call, unsigned status, std::string body);
  void answer_ended(const CallPointer& call);
  void answer_granted(const CallPointer& call, const Held& held, unsigned status);
  Held& grant(const Operation& operation, const std::string& token);
  void end(std::size_t place, Record::Kind reason);
  void end_all(const std::string& token, Record::Kind reason);
  void keep(const std::string& token);
  void expire(const std::string& token, Nanoseconds due);
  void settle();
  void restart();
  [[nodiscard]] bool is_held_against(const Operation& operation, const Held& held) const;
  [[nodiscard]] bool waits_against(const Operation& waiter, const Operation& operation) const;
  [[nodiscard]] bool is_free(const Operation& operation, std::size_t waiters_before);
  [[nodiscard]] const Held* covering(const std::string& path) const;
  [[nodiscard]] Held* find(const std::string& token, const std::string& path);
  Record& record(Record::Kind kind);

  Choices choices_;
  const Wrong wrong_;
  std::size_t wrongs_ = 0;
  Evidence evidence_;
  std::multimap<Nanoseconds, std::function<void()>> agenda_;
  Nanoseconds now_ = 1'000'000'000;
  std::size_t left_ = 0;  // operations
  std::deque<Client> clients_;
  std::uint64_t life_ = 0;
  std::vector<Held> held_;
  std::map<std::string, Lease> leases_;                        // by token
  std::map<std::string, std::string> ended_;                   // by token: why
  std::map<std::string, std::pair<std::string, Fence>> lost_;  // by token and path: why, fence
  std::vector<CallPointer> calls_;                             // all
  std::deque<CallPointer> waiting_;
  std::uint64_t last_lease_ = 0;
  Fence last_fence_ = 1'000;
};

}  // namespace locker::histories
