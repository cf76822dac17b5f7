#pragma once

#include <cstddef>
#include <cstdint>
#include <exception>
#include <memory>
#include <string>
#include <string_view>

#include <boost/intrusive/list_hook.hpp>
#include <boost/smart_ptr/intrusive_ptr.hpp>

#include "server/group_commit.hpp"
#include "server/net.hpp"
#include "server/request_parser.hpp"
#include "server/response_framing.hpp"

namespace locker::server {

class Worker;

/// One connection. Everything runs on its worker's thread but on_durable(). Does one thing at a
/// time: reads, or waits for the disk, or writes. So requests are answered strictly in order, and
/// a client that does not take its answers is not read from either.
///
/// A round: all requests that are in the buffer are answered into one output, which goes out in
/// one write once the highest index among the answers is durable. (An answer that comes later or
/// in parts will be one more state beside these, left when its maker calls back.)
///
/// Lives as long as an operation of it is under way: each handler holds a reference, and so does
/// the session itself as long as it waits in GroupCommit.
class Session final : public DurabilityWaiter,
                      public boost::intrusive::list_base_hook<
                          boost::intrusive::link_mode<boost::intrusive::auto_unlink>> {
 public:
  using Pointer = boost::intrusive_ptr<Session>;

  /// `peer` is what the access hook is told; `counted`: leaves the ConnectionCount when closed.
  Session(Worker& worker, Socket socket, std::string peer, bool counted);
  Session(const Session&) = delete;
  Session& operator=(const Session&) = delete;

  void start();
  /// Answers 503 whatever is asked, and closes.
  void turn_away();
  /// Looks at the deadline.
  void tick(SteadyClock::time_point now);
  /// After the clock stood still for the client's bytes: no deadline may pass because of us.
  void extend_deadline(SteadyClock::duration by) { deadline_ += by; }
  /// Closes when nothing is asked or answered at the moment; else the next answer is the last.
  void drain();
  /// At once. While it waits in GroupCommit the session lives on, with nothing left to say.
  void close();
  /// Hands the session over to its worker. Any thread.
  void on_durable() override;
  void on_commit_needed() override;
  /// What was waited for is durable; on the worker's thread.
  void resume();

  Session* next_ready = nullptr;  ///< For the worker's list of those that can go on.

 private:
  enum class State : std::uint8_t { reading, yielding, waiting, writing, lingering, closed };
  enum class Phase : std::uint8_t { fresh, idle, header, body };  // what reading waits for

  friend void intrusive_ptr_add_ref(Session* session) { ++session->references_; }
  friend void intrusive_ptr_release(Session* session) {
    if (--session->references_ == 0) delete session;
  }
  ~Session() override { close(); }

  void read();
  void on_read(const boost::system::error_code& error, std::size_t size);
  void run_round();
  void answer_requests();
  void answer_request();
  void answer_fault(std::string_view what);
  void refuse(const Refusal& refusal, bool to_head);
  void append(const Response& response, const Request* request, ConnectionField connection,
              bool to_head);
  void go_on();
  void send();
  void write();
  void on_write(const boost::system::error_code& error, std::size_t size);
  void finish_round();
  void linger();
  void time_out();
  void hurry();
  void enter(Phase phase);

  [[nodiscard]] std::string_view unread() const { return {buffer_.get() + begin_, end_ - begin_}; }
  void make_room();

  Worker& worker_;
  Socket socket_;
  RequestParser parser_;
  SteadyClock::time_point deadline_;
  std::unique_ptr<char[]> buffer_;
  std::size_t capacity_ = 0;
  std::size_t begin_ = 0;  // of what is unread in the buffer
  std::size_t end_ = 0;
  std::string output_;
  std::size_t sent_ = 0;      // of the output
  std::size_t lingered_ = 0;  // bytes thrown away
  Index awaited_ = 0;         // the highest of this round
  unsigned references_ = 0;
  State state_ = State::reading;
  Phase phase_ = Phase::fresh;
  bool more_ = false;        // the round ended before the buffer did
  bool last_round_ = false;  // close after this output
  bool refused_ = false;     // what follows in the stream is not looked at any more
  const bool counted_;
  const std::string peer_;
};

}  // namespace locker::server
