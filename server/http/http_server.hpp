#pragma once

#include <chrono>
#include <cstddef>
#include <memory>
#include <vector>

#include <boost/system/error_code.hpp>

#include "server/http/worker.hpp"

namespace locker::server {

/// A pool of threads with one Worker each. Its methods must be called by one thread at a time.
class HttpServer {
 public:
  struct Options {
    unsigned threads = 0;  ///< 0: one per core.
    std::size_t connections_max = 10'000;
    HttpLimits limits = {};
    HttpHooks hooks = {};  ///< Called from all threads.
    /// Collects the counters; null: nobody reads them. Must outlive the server.
    HttpMetrics* metrics = nullptr;
    /// Must be loaded; null: connections without TLS. With TLS the program must ignore SIGPIPE.
    std::shared_ptr<const TlsContext> tls = {};
  };
  /// `handler` and `commit` must outlive the server.
  HttpServer(RequestHandler& handler, GroupCommit& commit, Options options);
  /// Closes all connections immediately if the server still runs.
  ~HttpServer();  // NOLINT(bugprone-exception-escape): without memory to stop, it ends
  HttpServer(const HttpServer&) = delete;
  HttpServer& operator=(const HttpServer&) = delete;

  /// Starts to listen and to serve. Call once. After an error nothing runs.
  [[nodiscard]] boost::system::error_code start(const tcp::endpoint& endpoint);
  /// Returns the endpoint that it listens on, with the actual port.
  [[nodiscard]] const tcp::endpoint& endpoint() const { return endpoint_; }
  /// Graceful shutdown: accepts nothing more, answers what was asked, and returns when all threads
  /// have ended, soon after `grace` at the latest.
  void stop(std::chrono::milliseconds grace = std::chrono::seconds{8});
  /// Number of open connections.
  [[nodiscard]] std::size_t connections() const { return connections_->value(); }
  /// Bytes that the connections hold beyond what idle ones keep.
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
