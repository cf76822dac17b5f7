#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include <boost/intrusive/list_hook.hpp>
#include <boost/intrusive/slist_hook.hpp>
#include <boost/smart_ptr/intrusive_ptr.hpp>

#include "server/http/input_buffer.hpp"
#include "server/http/output.hpp"
#include "server/http/request_parser.hpp"
#include "server/http/response_framing.hpp"
#include "server/http/transport.hpp"
#include "server/request_handler.hpp"
#include "server/service/group_commit.hpp"

namespace locker::server {

class Worker;

/// One connection. It does one thing at a time, which is its state. Requests are therefore answered
/// strictly in order, and a client that does not take its answers is not read from (back-pressure).
///
///   reading* --> yielding --> waiting --> writing* --+--> reading      the rest, or next request
///                   ^                                +--> yielding     more is in the buffer
///                   |                                |
///                   +-- woken --- pending <----------+
///                   +-- woken --- streaming* <-------+
///                                 lingering* <-------+  after the last answer
///
/// waiting (for the disk) and writing are skipped if there is nothing to wait for or to write.
/// closed can follow any state. The states with a * have a deadline: when it passes, a request that
/// is being read gets 408, a stream gets a comment, and any other connection is closed.
///
/// A round: all requests in the buffer are answered into one output, which is sent in one write
/// once the highest index among the answers is durable. A pending answer ends the round, and begins
/// another one when it is there. A stream ends the round that its header is in; after that, each
/// round is what one Stream::read() returns.
///
/// While the session waits for a pending answer or a stream, it keeps a read under way, to notice
/// that the client has gone. The read stays under way when the waiting ends; the next read() finds
/// it there. If the buffer is full of bytes behind the pending request, tick() checks instead.
///
/// Lives as long as one of its operations is under way: each handler holds a reference, and so does
/// the session itself while it waits in GroupCommit and while it may be woken. All calls are made
/// on its worker's thread, except on_durable(), on_commit_needed() and wake().
class Session final : public DurabilityWaiter,
                      public Waker,
                      public Connection,
                      public boost::intrusive::list_base_hook<
                          boost::intrusive::link_mode<boost::intrusive::auto_unlink>> {
 public:
  using Pointer = boost::intrusive_ptr<Session>;

  /// `peer` is passed to the access hook; `within_limit`: there are not too many connections.
  Session(Worker& worker, Transport transport, std::string peer, bool within_limit);
  Session(const Session&) = delete;
  Session& operator=(const Session&) = delete;

  void start();
  /// Answers 503 and closes. Unless too many others are doing so, it first gives the client a
  /// moment to send its request, and answers one for /healthz, /readyz or /metrics. Otherwise a
  /// supervisor would kill a server that is only busy, and monitoring would report it as down.
  void turn_away();
  /// Checks the deadline, and reports to the worker when the session has been idle for long.
  /// REQUIRES: the caller holds a reference.
  void tick(SteadyClock::time_point now);
  /// Closes, so that another connection can be admitted. False: its next request has just come.
  /// REQUIRES: the worker was told that it is idle, and the caller holds a reference.
  [[nodiscard]] bool make_way();
  /// Extends the deadline by time in which the worker did not read the client's bytes: no deadline
  /// may pass because of us.
  void extend_deadline(SteadyClock::duration by) { deadline_ += by; }
  /// Graceful shutdown: closes if nothing is being asked or answered; otherwise the next answer is
  /// the last. A pending answer becomes a 503. REQUIRES: the caller holds a reference.
  void drain();
  /// Closes immediately. While the session waits in GroupCommit or is being woken it lives on,
  /// without sending anything. May release the last reference.
  void close();
  /// Passes the session to its worker. Any thread.
  void on_durable() override;
  /// Asks its worker to commit. Any thread.
  void on_commit_needed() override;
  /// Continues after the awaited index became durable; on the worker's thread.
  void resume();
  /// Passes the session to its worker. Any thread.
  void wake() override;
  /// Handles a wake; on the worker's thread.
  void on_wake();
  [[nodiscard]] bool has_left() override;

  /// Linked while it has been idle for HttpLimits::makes_way.
  boost::intrusive::list_member_hook<boost::intrusive::link_mode<boost::intrusive::auto_unlink>>
      idle_hook;
  // Used by SessionMail.
  boost::intrusive::slist_member_hook<> ready_hook;
  boost::intrusive::slist_member_hook<> woken_hook;  ///< Guarded by its mutex.

 private:
  enum class State : std::uint8_t {
    reading,
    yielding,  // in a round, or until the other connections had their turn
    waiting,   // in GroupCommit
    writing,
    pending,    // everything before the pending answer is sent
    streaming,  // everything that the stream had is sent
    lingering,
    closed
  };
  enum class Phase : std::uint8_t { fresh, idle, header, body };  // what reading waits for

  /// What an answer needs to know of its request. If the request was refused as HTTP, only what
  /// could be read of it.
  struct Asked {
    std::string_view method = {};
    std::string_view path = {};
    bool to_head = false;
    bool keep_alive = false;
    bool is_http_1_0 = false;
  };
  /// A pending answer. Its request has left the buffer.
  struct Later {
    enum class Progress : std::uint8_t { awaited, woken, abandoned };
    std::unique_ptr<PendingAnswer> answer;
    std::string method;  // for the access hook, if there is one
    std::string path;
    Asked asked;
    Progress progress = Progress::awaited;
    SteadyClock::time_point asked_at;
  };
  friend void intrusive_ptr_add_ref(Session* session) { ++session->references_; }
  friend void intrusive_ptr_release(Session* session) {
    if (--session->references_ == 0) delete session;
  }
  ~Session() override { close(); }

  void read();
  void watch();
  void begin_read(std::size_t size_max);
  void on_read(const boost::system::error_code& error, std::size_t size);
  void on_bytes(std::size_t size);
  void on_end();
  void on_tls_fault();
  void run_round();
  void fail();
  void answer_requests();
  void answer_probe();
  void answer_request();
  [[nodiscard]] bool answer_early();
  [[nodiscard]] Asked asked();
  void answer_fault(const Asked& asked);
  void append_answer(Response& response, const Asked& asked, bool nothing_unread);
  void append_refusal(Response& response, const Asked& asked);
  void refuse(const Refusal& refusal, const Asked& asked);
  /// For a request that may be incomplete: its first bytes tell whether it is a HEAD.
  void refuse_unread(const Refusal& refusal);
  void refuse_over_limit();
  void append(Response& response, const Asked& asked, ConnectionField connection);

  void begin_pending(std::unique_ptr<PendingAnswer> answer, const Asked& asked);
  [[nodiscard]] bool abandon_pending();
  [[nodiscard]] bool is_pending_ready() const;
  void finish_pending();
  void give_up_pending();
  void finish_unseen();
  void drain_pending();

  void begin_stream(Response& response, const Asked& asked);
  void read_stream();
  void end_stream();
  void drain_stream();

  void go_on();
  void send();
  void write();
  void on_write(const boost::system::error_code& error, std::size_t size);
  void finish_round();
  void count_round();
  void yield();
  void hold();
  void linger();
  void time_out();
  void cut_off();
  void hurry();
  [[nodiscard]] bool is_idle_for(SteadyClock::duration time, SteadyClock::time_point now) const;
  [[nodiscard]] SteadyClock::duration time_of(Phase phase) const;
  void enter(Phase phase);
  void expire_in(SteadyClock::duration time);
  void end_hearing();

  Worker& worker_;
  Transport transport_;
  Peer peer_;
  RequestParser parser_;
  SteadyClock::time_point deadline_;
  // When the requests that it answers were read, or could first be looked at.
  SteadyClock::time_point round_began_ = SteadyClock::now();
  SteadyClock::time_point waiting_began_;            // since when its pending answer was awaited
  std::array<std::uint8_t, call_count> answered_{};  // in this round
  InputBuffer input_;
  Output output_;
  std::unique_ptr<Later> later_;
  std::unique_ptr<Stream> stream_;
  Pointer while_committing_;  // to itself, while GroupCommit knows it
  Pointer while_wakeable_;    // to itself, for a pending answer or a stream
  std::size_t lingered_ = 0;  // bytes discarded
  unsigned references_ = 0;
  State state_ = State::reading;
  Phase phase_ = Phase::fresh;
  bool reads_ = false;         // a read is under way
  bool read_ended_ = false;    // by the client's end of stream or an error
  bool stream_begun_ = false;  // its header is sent
  bool more_ = false;          // the round ended before the buffer or the stream did
  bool last_round_ = false;    // close after this output
  bool refused_ = false;       // what follows in the byte stream is ignored
  bool is_heard_ = false;      // over the limit, and not answered yet
  const bool within_limit_;
};

}  // namespace locker::server
