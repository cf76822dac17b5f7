#pragma once

#include <chrono>
#include <cstddef>
#include <functional>
#include <memory>
#include <string>
#include <string_view>

#include <boost/intrusive/list.hpp>

#include "server/http/http_limits.hpp"
#include "server/http/http_metrics.hpp"
#include "server/http/listener.hpp"
#include "server/http/net.hpp"
#include "server/http/response_framing.hpp"
#include "server/http/session.hpp"
#include "server/http/session_mail.hpp"
#include "server/http/shared_count.hpp"
#include "server/http/tls_context.hpp"
#include "server/request_handler.hpp"
#include "server/service/group_commit.hpp"

namespace locker::server {

/// One answered request. It has neither the query nor header fields, which may carry tokens.
struct AccessEntry {
  std::string_view method;  ///< Empty, like the path, if the request was refused as HTTP.
  std::string_view path;
  unsigned status = 0;
  std::size_t bytes = 0;  ///< Of the answer, with its header.
  std::string_view peer;
};

/// Callbacks. Called on the worker's thread; must be quick and must not throw.
struct HttpHooks {
  std::function<void(std::string_view)> on_error = {};  ///< A handler threw, or memory ran out.
  std::function<void(const AccessEntry&)> access = {};
  bool tell_peer = false;  ///< Fill in Request::peer.
  /// A connection failed because of TLS, and why. `peer` is empty unless `access` or tell_peer is
  /// set.
  std::function<void(std::string_view why, std::string_view peer)> tls_failed = {};
  /// The limit of connections is reached, and one more got 503 or was closed.
  std::function<void()> turned_away = {};
};

/// Serves connections on one thread. Not thread-safe: all calls are made on the thread that runs
/// the io_context, or while none does; one thread at a time may run it.
///
///   net::io_context io_context{1};
///   Worker worker{io_context, locker->handler(), locker->commit(), {}};
///   if (const auto error = worker.listen({net::ip::address_v6::any(), 8765})) …
///   io_context.run();
class Worker {
 public:
  struct Options {
    HttpLimits limits = {};
    HttpHooks hooks = {};
    /// Shared by all workers; null: limited only by file descriptors, of which the journal needs
    /// some too: it fails if it gets none.
    std::shared_ptr<SharedCount> connections = {};
    /// In bytes. Shared by all workers; null: HttpLimits::buffered_max for this worker alone.
    std::shared_ptr<SharedCount> buffered = {};
    /// The counters of this worker alone; null: nobody reads them.
    std::shared_ptr<WorkerMetrics> metrics = {};
    /// Must be loaded; null: connections without TLS. With TLS the program must ignore SIGPIPE.
    std::shared_ptr<const TlsContext> tls = {};
  };
  /// `io_context`, `handler` and `commit` must outlive the worker.
  Worker(net::io_context& io_context, RequestHandler& handler, GroupCommit& commit,
         Options options);
  /// Closes everything, and blocks until no other thread knows its sessions: until wakes under way
  /// have arrived, and the awaited indices are durable.
  ~Worker();
  Worker(const Worker&) = delete;
  Worker& operator=(const Worker&) = delete;

  /// Listens on `endpoint`. For several workers on one endpoint, see open_acceptors().
  [[nodiscard]] boost::system::error_code listen(const tcp::endpoint& endpoint);
  void listen(Acceptor acceptor);
  /// Serves a connection that was accepted elsewhere.
  void adopt(Socket socket);
  /// Graceful shutdown: accepts the connections that are already made and no others, says
  /// `Connection: close` in its answers, closes connections that ask nothing, and closes all after
  /// `grace`. The io_context runs out of work when that is done.
  void drain(std::chrono::milliseconds grace);
  /// Closes everything immediately.
  void stop();

 private:
  friend class Conversation;
  friend class Session;

  // Used by sessions.
  [[nodiscard]] const HttpLimits& limits() const { return options_.limits; }
  [[nodiscard]] const HttpHooks& hooks() const { return options_.hooks; }
  [[nodiscard]] RequestHandler& handler() { return handler_; }
  [[nodiscard]] GroupCommit& commit() { return commit_; }
  [[nodiscard]] SessionMail& mail() { return mail_; }
  [[nodiscard]] SharedCount& buffered() { return *buffered_; }
  [[nodiscard]] WorkerMetrics& metrics() { return *metrics_; }
  [[nodiscard]] Executor executor() const { return io_context_.get_executor(); }
  [[nodiscard]] std::string_view date() const { return date_.text(); }
  [[nodiscard]] SteadyClock::time_point now() const { return now_; }  // at the last tick
  [[nodiscard]] bool is_draining() const { return draining_; }
  [[nodiscard]] Response& fresh_response();
  /// REQUIRES: an exception is being handled.
  void report_exception() const;
  /// Until its idle_hook is unlinked, the session may be closed to admit another one.
  void on_long_idle(Session& session) { long_idle_.push_back(session); }
  void on_closed(bool within_limit);
  /// False: the limit of connections over the limit that may send a request is reached.
  [[nodiscard]] bool begin_hearing();
  void end_hearing() { --heard_; }
  void count_turned_away();

  [[nodiscard]] bool find_place();
  void start_ticking();
  void schedule_tick();
  void tick();
  void read_clocks();

  net::io_context& io_context_;
  RequestHandler& handler_;
  GroupCommit& commit_;
  const Options options_;
  const std::shared_ptr<SharedCount> buffered_;
  const std::shared_ptr<WorkerMetrics> metrics_;
  std::shared_ptr<Worker*> alive_;  // for late handlers; null when the worker is gone
  Timer timer_;
  std::shared_ptr<Listener> listener_;
  boost::intrusive::list<Session, boost::intrusive::constant_time_size<false>> sessions_;
  boost::intrusive::list<
      Session,
      boost::intrusive::member_hook<Session, decltype(Session::idle_hook), &Session::idle_hook>,
      boost::intrusive::constant_time_size<false>>
      long_idle_;                // the longest idle first
  std::size_t turned_away_ = 0;  // open sessions over the limit
  std::size_t heard_ = 0;        // those of them that may still ask for /healthz
  Response response_;
  DateText date_;
  SteadyClock::time_point now_;
  SteadyClock::time_point drained_by_ = SteadyClock::time_point::max();
  bool ticking_ = false;
  bool draining_ = false;
  SessionMail mail_;  // declared last: it waits for sessions, which use the others
};

}  // namespace locker::server
