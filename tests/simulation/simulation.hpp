#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <queue>
#include <random>
#include <set>
#include <string>
#include <vector>

#include "tests/simulation/client_promises.hpp"
#include "tests/simulation/simulated_server.hpp"

namespace locker::simulation {

/// Clients, a network that delays and loses messages, a server that crashes, and a disk that fails,
/// in virtual time and on one thread; everything follows from the seed.
///
/// Checked throughout: mutual exclusion, fences, nothing acknowledged or shown is lost, no lease
/// ends early, fair order, replay gives the same state; at the end, without faults: everything
/// ends.
class Simulation {
 public:
  explicit Simulation(std::uint64_t seed);

  /// Runs the simulation. Returns what went wrong and when; empty if nothing did.
  [[nodiscard]] std::string run();
  /// A hash of all events: the same for the same seed.
  [[nodiscard]] std::uint64_t trace() const { return trace_; }
  struct Counts {
    std::uint64_t grants = 0;
    std::uint64_t crashes = 0;
    std::uint64_t power_cuts = 0;
    std::uint64_t waits = 0;
    std::uint64_t lost_records = 0;  ///< Never acknowledged.
    std::uint64_t snapshots = 0;     ///< That exist at the end.
    std::uint64_t put_off = 0;       ///< Requests, while the journal made room.
    std::uint64_t without_room = 0;  ///< Requests, while the disk was full.
    std::uint64_t backups = 0;
    std::uint64_t damaged = 0;       ///< Snapshots.
    std::uint64_t other_ttls = 0;    ///< Requested by renewals.
    std::uint64_t tokens_again = 0;  ///< Used for another lease after the first had ended.
  };
  [[nodiscard]] const Counts& counts() const { return counts_; }

 private:
  struct Pending {
    Request request;
    core::Instant sent{};
    core::Fence floor = 0;
    bool is_first = true;
    int attempts = 0;
  };
  struct Client {
    std::size_t number = 0;
    core::Token token;
    core::Milliseconds ttl{};
    std::vector<core::Wanted> held;
    std::optional<Pending> pending;
    std::uint64_t generation = 0;  // of its timer
    bool has_lease = false;
    bool has_opened = false;           // its lease, which lives without locks
    bool can_use_token_again = false;  // for another lease
    bool is_dead = false;
  };
  struct Event {
    enum class Kind : std::uint8_t { request, disconnect, reply, client, tick, fault, space };
    core::Instant at{};
    std::uint64_t order = 0;
    Kind kind = Kind::tick;
    std::size_t client = 0;
    std::uint64_t number = 0;  // request or generation
    std::uint64_t life = 0;    // of the server that sends or receives it
    friend bool operator<(const Event& a, const Event& b) {  // the earliest on top
      return a.at != b.at ? a.at > b.at : a.order > b.order;
    }
  };

  void schedule(core::Duration delay, Event event);
  [[nodiscard]] bool chance(unsigned percent) { return random_() % 100 < percent; }
  [[nodiscard]] core::Duration milliseconds(std::uint64_t most) {
    return std::chrono::milliseconds{random_() % (most + 1)};
  }
  [[nodiscard]] core::Now server_now() const;

  void step(const Event& event);
  void on_server(const Event& event);
  void start_server();
  void crash(bool with_power_cut);
  void check_recovered();
  void check();
  void inject_fault();
  void check_backup();
  void damage_newest_snapshot();
  void fill_journal(std::uint64_t names);
  void set_full_disk(bool is_full);

  void wake(Client& client);
  void sleep(Client& client, core::Duration delay);
  void begin_acquire(Client& client);
  void choose_token(Client& client);
  [[nodiscard]] core::Milliseconds random_ttl() {
    return core::Milliseconds{300 + random_() % 2'000};
  }
  void act_as_holder(Client& client);
  void release_all(Client& client);
  void send(Client& client, Request request);
  void send_again(Client& client);
  void on_reply(const Reply& reply);
  void read_reply(Client& client, const Pending& pending, const Reply& reply);
  void forget_lease(Client& client);
  [[nodiscard]] std::string random_path();
  [[nodiscard]] core::AcquireCommand random_acquire(const Client& client);
  void fail(std::string what);
  void note(std::uint64_t value);

  std::mt19937_64 random_;
  test::SimulatedDisk disk_;
  std::unique_ptr<SimulatedServer> server_;
  std::vector<std::string> records_;  // of all lives, up to what the last recovery found
  persistence::Index shown_index_ = 0;
  ClientPromises promises_;
  std::vector<Client> clients_;
  std::map<std::uint64_t, Request> requests_;  // in transit
  std::map<std::uint64_t, Reply> replies_;
  std::map<std::uint64_t, std::size_t> senders_;
  std::priority_queue<Event> events_;
  core::Instant now_{};
  core::Instant server_started_{};
  core::Instant paused_until_{};
  std::int64_t clock_error_ = 0;  // of the server's wall clock, microseconds
  std::uint64_t last_number_ = 0;
  std::uint64_t life_ = 0;
  bool winds_down_ = false;
  // Drawn once, so that some runs have many faults of one kind and none of another.
  unsigned loss_ = 0;
  unsigned death_ = 0;
  unsigned waiting_ = 0;
  unsigned several_ = 0;
  unsigned commit_ = 0;
  std::uint64_t names_ = 3;
  /// With any other than `always`, only the process is killed, and nothing else fails.
  persistence::Durability durability_ = persistence::Durability::always;
  unsigned fills_ = 0;
  bool has_full_disk_ = false;
  std::set<std::string> damaged_;  // paths of snapshots
  std::string failure_;
  std::uint64_t trace_ = 14695981039346656037U;
  Counts counts_;
};

}  // namespace locker::simulation
