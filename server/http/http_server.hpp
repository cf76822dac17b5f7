#pragma once

#include <chrono>
#include <cstddef>
#include <memory>
#include <vector>

#include <boost/system/error_code.hpp>

#include "server/http/worker.hpp"

namespace locker::server {

/// A pool of threads with a Worker each. Its own methods are called by one thread at a time.
class HttpServer {
 public:
  struct Options {
    unsigned threads = 0;  ///< 0: one for each core.
    std::size_t connections_max = 10'000;
    HttpLimits limits = {};
    HttpHooks hooks = {};  ///< Called from all threads.
    /// Where everything is counted; none: nobody looks. Must outlive the server.
    HttpMetrics* metrics = nullptr;
    /// Loaded; none: connections are without TLS. With it the program has to ignore SIGPIPE.
    std::shared_ptr<const TlsContext> tls = {};
  };
  /// Handler and commit must outlive the server.
  HttpServer(RequestHandler& handler, GroupCommit& commit, Options options);
  /// Closes everything at once when it still runs.
  ~HttpServer();  // NOLINT(bugprone-exception-escape): without memory to stop, it ends
  HttpServer(const HttpServer&) = delete;
  HttpServer& operator=(const HttpServer&) = delete;

  /// Listens, and serves from now on. Called once. After an error nothing runs.
  [[nodiscard]] boost::system::error_code start(const tcp::endpoint& endpoint);
  /// Where it listens, with the port that was chosen.
  [[nodiscard]] const tcp::endpoint& endpoint() const { return endpoint_; }
  /// Accepts nothing more, answers what has been asked, and returns when all threads have ended:
  /// soon after the grace at the latest.
  void stop(std::chrono::milliseconds grace = std::chrono::seconds{8});
  /// Open connections.
  [[nodiscard]] std::size_t connections() const { return connections_->value(); }
  /// Bytes that they hold beyond what an idle one keeps.
  [[nodiscard]] std::size_t buffered() const { return buffered_->value(); }

 private:
  struct Thread;

  RequestHandler& handler_;
  GroupCommit& commit_;
  const Options options_;
  const std::shared_ptr<SharedCount> connections_;
  const std::shared_ptr<SharedCount> buffered_;
  tcp::endpoint endpoint_;
  std::vector<std::unique_ptr<Thread>> threads_;
};

}  // namespace locker::server
