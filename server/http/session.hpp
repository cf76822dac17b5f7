#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>

#include <boost/intrusive/list_hook.hpp>
#include <boost/smart_ptr/intrusive_ptr.hpp>

#include "server/http/conversation.hpp"
#include "server/http/input_buffer.hpp"
#include "server/http/output.hpp"
#include "server/http/session_mail.hpp"
#include "server/http/transport.hpp"
#include "server/request_handler.hpp"

namespace locker::server {

class Worker;

/// The I/O and the deadlines of one connection; Conversation answers its requests. A session does
/// one thing at a time, which is its state. Requests are therefore answered strictly in order, and
/// a client that does not take its answers is not read from (back-pressure).
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
class Session final : public SessionMail::Recipient,
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
  [[nodiscard]] bool has_left() override;

  /// Linked while it has been idle for HttpLimits::makes_way.
  boost::intrusive::list_member_hook<boost::intrusive::link_mode<boost::intrusive::auto_unlink>>
      idle_hook;

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
  enum class Phase : std::uint8_t { fresh, idle, header, body };     // what reading waits for
  enum class Progress : std::uint8_t { awaited, woken, abandoned };  // of the pending answer

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
  void resume() override;
  void on_wake() override;
  void run_round();
  void fail();
  void answer_requests();

  void begin_pending(std::unique_ptr<PendingAnswer> answer);
  [[nodiscard]] bool abandon_pending();
  [[nodiscard]] bool is_pending_ready() const;
  void finish_pending();
  void give_up_pending();
  void finish_unseen();
  void drain_pending();

  void begin_stream(std::unique_ptr<Stream> stream);
  void read_stream();
  void end_stream();
  void drain_stream();

  void go_on();
  void send();
  void write();
  void on_write(const boost::system::error_code& error, std::size_t size);
  void finish_round();
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
  SteadyClock::time_point deadline_;
  InputBuffer input_;
  Output output_;
  Conversation conversation_;
  std::unique_ptr<PendingAnswer> pending_;
  std::unique_ptr<Stream> stream_;
  Pointer while_committing_;  // to itself, while GroupCommit knows it
  Pointer while_wakeable_;    // to itself, for a pending answer or a stream
  std::size_t lingered_ = 0;  // bytes discarded
  unsigned references_ = 0;
  State state_ = State::reading;
  Progress progress_ = Progress::awaited;
  Phase phase_ = Phase::fresh;
  bool reads_ = false;         // a read is under way
  bool read_ended_ = false;    // by the client's end of stream or an error
  bool stream_begun_ = false;  // its header is sent
  bool more_ = false;          // the round ended before the buffer or the stream did
  bool is_heard_ = false;      // over the limit, and not answered yet
  const bool within_limit_;
};

}  // namespace locker::server
