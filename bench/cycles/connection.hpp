#pragma once

#include <chrono>
#include <cstdint>
#include <deque>
#include <memory>
#include <string>
#include <vector>

#include "bench/cycles/dialogue.hpp"
#include "bench/latency_histogram.hpp"
#include "server/http/net.hpp"

namespace locker::bench {

/// The work of all connections, and its results.
struct Run {
  Work work = Work::pairs;
  std::size_t lanes = 1;  ///< Requests in flight per connection.
  std::size_t depth = 2;  ///< Segments of a path.
  /// Each cycle locks a sibling of another one of this many held locks (held_locks.hpp); 0: each
  /// lane locks a path of its own again and again.
  std::uint64_t among = 0;

  bool counts = false;       ///< Off while the servers warm up.
  std::size_t answered = 0;  ///< Connections that have received an answer.
  bool finished = false;     ///< Locks are released, and nothing new is begun.
  std::uint64_t done = 0;
  std::uint64_t refusals = 0;
  /// From a request to its answer; for hand-overs, from a release to the next holder's grant.
  LatencyHistogram latencies;
  std::chrono::steady_clock::time_point released;
};

/// One client. Sends a lane's next request as soon as the previous one is answered, and all that
/// are due in one write.
class Connection {
 public:
  /// Connects and exchanges greetings; blocks.
  Connection(server::net::io_context& io_context, const server::tcp::endpoint& server,
             std::unique_ptr<Dialogue> dialogue, std::size_t number, Run& run);

  /// Sends this request for every lane, one after the other, and waits for the answers; blocks.
  /// REQUIRES: not started, or nothing is in flight.
  void ask_all(Verb verb);

  /// Starts the work, which continues until the run is finished.
  void start();
  /// Sends what the protocol ends with. REQUIRES: nothing is in flight.
  void part();

 private:
  using Clock = std::chrono::steady_clock;

  [[nodiscard]] std::string path_of(std::size_t lane) const;
  void read_more();
  void send();
  void begin(std::size_t lane, Verb verb);
  void listen();
  void hear();
  void on_answer(std::size_t lane, bool yes);

  server::Socket socket_;
  std::unique_ptr<Dialogue> dialogue_;
  Run& run_;
  std::size_t number_;
  std::uint64_t turns_ = 0;
  bool was_answered_ = false;
  std::vector<Lane> lanes_;
  std::vector<Clock::time_point> asked_;  ///< By lane.
  std::deque<std::size_t> under_way_;     ///< Lanes, the oldest request first.
  Clock::time_point now_;
  std::string output_;
  std::string input_;
  char piece_[16 * 1024];
};

}  // namespace locker::bench
