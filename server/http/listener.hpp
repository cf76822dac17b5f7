#pragma once

#include <chrono>
#include <functional>
#include <memory>
#include <vector>

#include <boost/system/error_code.hpp>
#include <boost/system/result.hpp>

#include "server/http/net.hpp"
#include "server/service/group_commit.hpp"

namespace locker::server {

/// Opens one acceptor for each executor, all at one endpoint: the kernel spreads the connections
/// over them. Refuses a port that somebody else listens at. Port 0: one that the system chooses,
/// the same for all. An IPv6 wildcard takes IPv4 too.
[[nodiscard]] boost::system::result<std::vector<Acceptor>> open_acceptors(
    const tcp::endpoint& endpoint, const std::vector<Executor>& executors);

/// Accepts connections and gives them away, many at each wake-up. Out of file descriptors it turns
/// one client away, with a 503 if it can, and pauses, so that it never spins. On one thread.
class Listener : public std::enable_shared_from_this<Listener> {
 public:
  /// `commit` must live until close(). `speaks_plain_http`: who is turned away can be told why.
  Listener(Acceptor acceptor, const GroupCommit& commit, std::chrono::milliseconds pause,
           bool speaks_plain_http, std::function<void(Socket)> on_accept);
  ~Listener();
  Listener(const Listener&) = delete;
  Listener& operator=(const Listener&) = delete;

  void start();
  /// Gives away what has connected already, then closes.
  void finish();
  void close();

 private:
  enum class Found { all, some, no_descriptor };
  void wait();
  void on_ready();
  [[nodiscard]] Found accept_those_there(int at_most);
  void turn_one_away();
  void pause();

  Acceptor acceptor_;
  Timer timer_;
  const GroupCommit& commit_;
  const std::chrono::milliseconds pause_;
  const bool speaks_plain_http_;
  const std::function<void(Socket)> on_accept_;
  bool is_waiting_ = false;
  int spare_descriptor_;  // given up when there is no other, to be able to accept and close
};

}  // namespace locker::server
