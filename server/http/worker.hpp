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

/// One answered request. Neither query nor header fields are in it: they may carry tokens.
struct AccessEntry {
  std::string_view method;  ///< Empty, as the path is, when the request was refused as HTTP.
  std::string_view path;
  unsigned status = 0;
  std::size_t bytes = 0;  ///< Of the answer with its header.
  std::string_view peer;
};

/// Called on the worker's thread; must be quick, must not throw.
struct HttpHooks {
  std::function<void(std::string_view)> on_error = {};  ///< A handler threw, memory ran out.
  std::function<void(const AccessEntry&)> access = {};
  bool tell_peer = false;  ///< Fill in Request::peer.
  /// A connection failed by TLS, and why. The peer is empty unless `access` or tell_peer is set.
  std::function<void(std::string_view why, std::string_view peer)> tls_failed = {};
  /// There are as many connections as may be, and one more got 503 or was closed.
  std::function<void()> turned_away = {};
};

/// Everything of one thread that serves connections. Not thread-safe: all calls are made on the
/// thread that runs the io_context, or while none does; one thread at a time may run it.
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
    /// Shared by all workers; none: as many as there are file descriptors, of which the journal
    /// needs some too, and fails when it gets none.
    std::shared_ptr<SharedCount> connections = {};
    /// Bytes. Shared by all workers; none: what the limits say for this one alone.
    std::shared_ptr<SharedCount> buffered = {};
    /// Where this worker alone counts; none: nobody looks.
    std::shared_ptr<WorkerMetrics> metrics = {};
    /// Loaded; none: connections are without TLS. With it the program has to ignore SIGPIPE.
    std::shared_ptr<const TlsContext> tls = {};
  };
  /// All three must outlive the worker.
  Worker(net::io_context& io_context, RequestHandler& handler, GroupCommit& commit,
         Options options);
  /// Closes everything, and blocks until nobody else knows its sessions: until wakes that were
  /// under way have arrived, and what they wait for is durable.
  ~Worker();
  Worker(const Worker&) = delete;
  Worker& operator=(const Worker&) = delete;

  /// Accepts at this endpoint. For several workers at one endpoint: open_acceptors().
  [[nodiscard]] boost::system::error_code listen(const tcp::endpoint& endpoint);
  void listen(Acceptor acceptor);
  /// Serves a connection that was accepted elsewhere.
  void adopt(Socket socket);
  /// Accepts what has connected already and nothing more; says `Connection: close` in what it
  /// answers, closes who asks nothing, and after the grace everybody. The io_context runs out of
  /// work when that is done.
  void drain(std::chrono::milliseconds grace);
  /// Closes everything at once.
  void stop();

 private:
  friend class Session;

  // What sessions use.
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
  /// The session makes way for another one until its idle_hook is unlinked.
  void on_long_idle(Session& session) { long_idle_.push_back(session); }
  void on_closed(bool within_limit);
  /// False: as many connections over the limit are heard as may be.
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
  std::shared_ptr<Worker*> alive_;  // what late handlers look at; null when the worker is gone
  Timer timer_;
  std::shared_ptr<Listener> listener_;
  boost::intrusive::list<Session, boost::intrusive::constant_time_size<false>> sessions_;
  boost::intrusive::list<
      Session,
      boost::intrusive::member_hook<Session, decltype(Session::idle_hook), &Session::idle_hook>,
      boost::intrusive::constant_time_size<false>>
      long_idle_;                // the longest first
  std::size_t turned_away_ = 0;  // open sessions over the limit
  std::size_t heard_ = 0;        // those of them that may still ask for /healthz
  Response response_;
  DateText date_;
  SteadyClock::time_point now_;
  SteadyClock::time_point drained_by_ = SteadyClock::time_point::max();
  bool ticking_ = false;
  bool draining_ = false;
  SessionMail mail_;  // the last one: it waits for sessions, which use the others
};

}  // namespace locker::server
