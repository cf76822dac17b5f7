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

/// The whole lock server but its sockets: a store, the locks in it, and the calls on them. What a
/// program uses to have Locker inside of it, without any HTTP server or behind its own.
///
///   auto locker = locker::server::Locker::open({.file = "locks.db"});
///   if (!locker) …                                     // locker.error().message says why
///   std::string reply = (*locker)->canhaz("/my/resource", {{"id", "timmy"}});
///
/// Thread-safe. The calls that return JSON block until what they tell is on disk. For a server of
/// one's own, give handler() and commit() to a Worker (server/http/worker.hpp) on one's own
/// executor.
class Locker {
 public:
  struct Options {
    std::string file = "locks.db";
    persistence::Durability durability = persistence::Durability::always;
    std::chrono::milliseconds sync_interval{1000};
    std::uint64_t segment_bytes = std::uint64_t{64} << 20U;
    LockService::Options service = {};
    std::size_t event_readers_max = 1'000;
    /// Told what is odd but no reason to stop. Any thread.
    std::function<void(std::string_view)> on_warning = {};
    /// Told once when the disk failed, or the store lost its name; the process must end then, and
    /// is aborted if this returns.
    std::function<void(const core::Fault&)> on_failure = {};
  };

  /// Opens the store, or makes it when there is none, and reads all of it.
  [[nodiscard]] static boost::system::result<std::unique_ptr<Locker>, persistence::OpenFault> open(
      const Options& options);
  /// Makes everything durable and closes the store. No call may be under way.
  ~Locker();
  Locker(const Locker&) = delete;
  Locker& operator=(const Locker&) = delete;

  using Parameters = std::initializer_list<std::pair<std::string_view, std::string_view>>;
  /// `path` as in a URL ("/my/resource"); the parameters as in the HTTP call, not encoded.
  std::string canhaz(std::string_view path, Parameters parameters = {});
  std::string nowant(std::string_view path, Parameters parameters = {});
  std::string dohaz(std::string_view path);

  /// Answers any request of the HTTP API but events; blocks until the answer may be told, with
  /// `wait` until there is one.
  [[nodiscard]] Response call(const Request& request);

  [[nodiscard]] Api& handler() { return api_; }
  [[nodiscard]] GroupCommit& commit() { return commit_; }
  /// What /metrics shows of connections: for HttpServer::Options, or for Workers of one's own.
  [[nodiscard]] HttpMetrics& http_metrics() { return http_metrics_; }
  [[nodiscard]] Metrics& metrics() { return metrics_; }
  [[nodiscard]] LockService& service() { return service_; }
  /// What was found when the store was opened.
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
  const std::unique_ptr<MemoryAhead> memory_;  ///< Of the locks that are held.
  EventLog events_;
  GroupCommit commit_;
  LockService service_;
  HttpMetrics http_metrics_;
  Metrics metrics_;
  Api api_;
};

}  // namespace locker::server
