#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <initializer_list>
#include <memory>
#include <string>
#include <string_view>
#include <utility>

#include "persistence/local_journal.hpp"
#include "server/calls/api.hpp"
#include "server/http/http_metrics.hpp"
#include "server/metrics.hpp"
#include "server/service/event_log.hpp"
#include "server/service/group_commit.hpp"
#include "server/service/lock_service.hpp"
#include "server/service/memory_ahead.hpp"

namespace locker::server {

/// A lock server without sockets, to be embedded in a program: the store, the locks in it, and the
/// calls on them. open() starts threads. If the disk fails, or memory runs out during a decision or
/// a commit, the host process is aborted; for a failed disk, Options::on_failure is called first
/// and can end the process in its own way.
///
///   auto locker = locker::server::Locker::open({.file = "locks.db"});
///   if (!locker) …                                     // locker.error().message says why
///   std::string reply = (*locker)->canhaz("/my/resource", {{"id", "timmy"}});
///
/// Thread-safe. canhaz(), nowant(), dohaz() and call() block until what they return is durable.
///
/// To serve HTTP, pass handler() and commit() to a Worker (server/http/worker.hpp) on an executor
/// of the program, or to an HttpServer (server/http/http_server.hpp).
///
/// **Neither keys nor the audit log apply here**: handler() and call() permit everything to
/// everybody, so a Worker on handler() is an unauthenticated server. The Gate, which enforces keys
/// and writes the audit log, is composed by lockerd (server/program). An embedding program has to
/// authenticate its clients itself, in a RequestHandler of its own in front of handler(), which
/// also has to forward treatment_of().
///
/// The supported API of the server library is this header, server/request_handler.hpp,
/// server/request_target.hpp, server/http/worker.hpp and server/http/http_server.hpp. The other
/// installed headers, including those that these include, are internal and may change in any
/// release.
class Locker {
 public:
  struct Options {
    /// The store, which is a directory.
    std::string file = "locks.db";
    persistence::Durability durability = persistence::Durability::always;
    std::chrono::milliseconds sync_interval{1000};
    std::uint64_t segment_bytes = std::uint64_t{64} << 20U;
    LockService::Options service = {};
    std::size_t event_readers_max = 1'000;
    /// Receives warnings: a condition that an operator should know of, but that does not stop the
    /// server. Called on any thread. By default warnings are dropped.
    std::function<void(std::string_view)> on_warning = {};
    /// Called when the disk failed, or the store's directory was moved or removed, on the thread
    /// that noticed. The process must end then, and is aborted if this returns. By default the
    /// error is printed to stderr.
    std::function<void(const core::Fault&)> on_failure = {};
  };

  /// Opens the store, or creates it if there is none, and replays it.
  [[nodiscard]] static boost::system::result<std::unique_ptr<Locker>, persistence::OpenFault> open(
      const Options& options);
  /// Makes everything durable and closes the store. REQUIRES: no call is under way, and the Workers
  /// that use handler() or commit() are destroyed.
  ~Locker();
  Locker(const Locker&) = delete;
  Locker& operator=(const Locker&) = delete;

  using Parameters = std::initializer_list<std::pair<std::string_view, std::string_view>>;
  /// The calls of 1.0b; each returns the JSON body of its answer. `path` is encoded as in a URL
  /// ("/my/resource"); the parameters are those of the HTTP call, not encoded.
  std::string canhaz(std::string_view path, Parameters parameters = {});
  std::string nowant(std::string_view path, Parameters parameters = {});
  std::string dohaz(std::string_view path);

  /// Answers any request of the HTTP API except for events, which get 501. Blocks until the answer
  /// is durable, and for a request that waits for its lock until there is an answer.
  [[nodiscard]] Response call(const Request& request);

  /// The HTTP API, without any access control.
  [[nodiscard]] Api& handler() { return api_; }
  /// Makes decisions durable.
  [[nodiscard]] GroupCommit& commit() { return commit_; }
  /// What /metrics shows of connections: for HttpServer::Options, or for the program's own Workers.
  [[nodiscard]] HttpMetrics& http_metrics() { return http_metrics_; }
  [[nodiscard]] Metrics& metrics() { return metrics_; }
  /// The typed calls. They return before their decision is durable, along with its index. Before
  /// the caller acts on an answer or passes it on, it must wait for that index:
  /// commit().commit_until(answer.index), which blocks, or commit().wait(). This also holds for the
  /// answers of queries and refusals, and for a decision that comes later (AwaitedAcquired).
  [[nodiscard]] LockService& service() { return service_; }
  /// What recovery found when the store was opened.
  [[nodiscard]] const persistence::Recovered& recovered() const { return recovered_; }

 private:
  Locker(const Options& options, std::unique_ptr<persistence::FileSystem> files,
         std::unique_ptr<persistence::LocalJournal> journal, std::unique_ptr<MemoryAhead> memory,
         std::unique_ptr<core::Arbiter> arbiter, const persistence::Recovered& recovered,
         core::Fence first_fence);
  std::string call_verb(std::string_view verb, std::string_view path, Parameters parameters);

  const persistence::Recovered recovered_;
  const std::unique_ptr<persistence::FileSystem> files_;  ///< Holds the store's directory.
  const std::unique_ptr<persistence::LocalJournal> journal_;
  const std::unique_ptr<MemoryAhead> memory_;  ///< For the locks that are held.
  EventLog events_;
  GroupCommit commit_;
  LockService service_;
  HttpMetrics http_metrics_;
  Metrics metrics_;
  Api api_;
};

}  // namespace locker::server
