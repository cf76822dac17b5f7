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

/// Opens one acceptor per executor, all at one endpoint: the kernel spreads the connections over
/// them. Fails if another server listens on the port. Port 0: the system chooses one, the same for
/// all. An IPv6 wildcard address accepts IPv4 too.
[[nodiscard]] boost::system::result<std::vector<Acceptor>> open_acceptors(
    const tcp::endpoint& endpoint, const std::vector<Executor>& executors);

/// Accepts connections and passes them on, many per wake-up. When it runs out of file descriptors
/// it turns one client away, with a 503 if it can, and pauses, so that it never spins. On one
/// thread.
class Listener : public std::enable_shared_from_this<Listener> {
 public:
  /// `commit` must live until close(). `speaks_plain_http`: a client that is turned away can be
  /// told why.
  Listener(Acceptor acceptor, const GroupCommit& commit, std::chrono::milliseconds pause,
           bool speaks_plain_http, std::function<void(Socket)> on_accept);
  ~Listener();
  Listener(const Listener&) = delete;
  Listener& operator=(const Listener&) = delete;

  void start();
  /// Passes on the connections that are already made, then closes.
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
  int spare_descriptor_;  // closed, if there is no other, to accept and turn away
};

}  // namespace locker::server
