#include "server/http/session.hpp"

#include <linux/sockios.h>
#include <sys/ioctl.h>

#include <algorithm>
#include <limits>
#include <utility>

#include <boost/asio/post.hpp>
#include <boost/asio/socket_base.hpp>

#include "core/assert.hpp"
#include "server/http/worker.hpp"

namespace locker::server {
namespace {

using ErrorCode = boost::system::error_code;

constexpr Refusal too_slow{408, "request_timeout",
                           "The request took too long to arrive; send it faster."};
constexpr Refusal https_only{400, "https_only",
                             "This port speaks HTTPS, and the request came without TLS; begin its "
                             "URL with https."};
constexpr Refusal too_much_buffered{
    503, "too_many_unfinished",
    "The server cannot buffer any more unfinished requests and unread answers; try again soon."};

}  // namespace

Session::Session(Worker& worker, Transport transport, std::string peer, bool within_limit)
    : Recipient(worker.mail()),
      worker_(worker),
      transport_(std::move(transport)),
      input_(worker.limits().read_buffer, worker.buffered()),
      output_(worker.limits().output_kept, worker.buffered()),
      conversation_(worker, *this, input_, output_, std::move(peer), within_limit),
      within_limit_(within_limit) {}

void Session::start() {
  ErrorCode error;
  Socket& socket = transport_.socket();
  socket.set_option(tcp::no_delay(true), error);
  transport_.notice_dead_host();
  socket.non_blocking(true, error);
  if (error) return close();
  enter(Phase::fresh);
  read();
}

void Session::turn_away() {
  ErrorCode error;
  transport_.socket().non_blocking(true, error);
  if (error) return close();
  is_heard_ = worker_.begin_hearing();
  if (is_heard_) {
    expire_in(worker_.limits().over_limit);
    return read();
  }
  conversation_.refuse_over_limit();
  send();
}

void Session::read() {
  if (state_ != State::lingering) state_ = State::reading;
  if (reads_) return;
  if (read_ended_) return close();
  constexpr std::size_t unlimited = std::numeric_limits<std::size_t>::max();
  input_.compact();
  if (input_.is_full() && !within_limit_) {
    conversation_.refuse_over_limit();
    return send();
  }
  const RequestParser& parser = conversation_.parser();
  // This ends, because the parser refuses what is too large.
  if (input_.is_full() && !input_.grow(parser.knows_size() ? parser.size() : unlimited)) {
    conversation_.refuse_unread(too_much_buffered);
    return send();
  }
  // Not much of what may belong to the next request is read: it may have to wait in the buffer.
  begin_read(parser.knows_size() ? unlimited : worker_.limits().read_buffer);
}

void Session::begin_read(std::size_t size_max) {
  reads_ = true;
  transport_.async_read_some(input_.room(size_max),
                             [self = Pointer{this}](const ErrorCode& error, std::size_t size) {
                               self->on_read(error, size);
                             });
}

void Session::on_read(const ErrorCode& error, std::size_t size) try {
  reads_ = false;
  idle_hook.unlink();
  if (state_ == State::closed) return;
  if (state_ == State::reading) conversation_.begin_round(SteadyClock::now());
  if (error && !transport_.tls_fault().empty()) return on_tls_fault();
  if (error) return on_end();
  if (state_ == State::lingering) {
    lingered_ += size;
    if (lingered_ > worker_.limits().linger_bytes) return close();
    input_.clear();
    return read();
  }
  on_bytes(size);
} catch (...) {
  fail();
}

void Session::on_bytes(std::size_t size) {
  input_.add(size);
  // The first bytes come when the handshake is done.
  if (phase_ == Phase::fresh && worker_.hooks().tell_peer) {
    conversation_.set_certificate(transport_.client_certificate());
  }
  if (state_ == State::reading) return run_round();
  if (state_ == State::pending || state_ == State::streaming) return watch();
  if (!stream_) more_ = true;  // which this round has not looked at
}

void Session::on_end() {
  // If a client has shut down its side, the session closes only after it has answered everything,
  // unless an answer is pending: then the client may have gone.
  const bool is_owed =
      state_ == State::yielding || state_ == State::waiting || state_ == State::writing;
  if (!is_owed || stream_) return close();
  read_ended_ = true;
}

void Session::on_tls_fault() {
  worker_.metrics().tls_failed.add();
  const auto& hook = worker_.hooks().tls_failed;
  if (hook) hook(transport_.tls_fault(), conversation_.peer().address);
  // A write that is under way still needs TLS.
  if (state_ != State::reading || !transport_.turn_plain()) return on_end();
  conversation_.refuse_unread(https_only);
  send();
}

void Session::enter(Phase phase) {
  if (!within_limit_) return;  // over the limit, one deadline covers everything
  const bool same_request = phase == phase_ && (phase == Phase::header || phase == Phase::body);
  if (same_request) return;  // a byte now and then buys no time
  phase_ = phase;
  expire_in(time_of(phase));
}

SteadyClock::duration Session::time_of(Phase phase) const {
  const HttpLimits& limits = worker_.limits();
  return phase == Phase::fresh    ? limits.first_byte
         : phase == Phase::header ? limits.header
         : phase == Phase::body   ? limits.body
                                  : limits.idle;
}

void Session::expire_in(SteadyClock::duration time) {
  // One tick more, because the worker's time may be that old.
  deadline_ = worker_.now() + worker_.limits().tick + time;
}

void Session::run_round() try {
  state_ = State::yielding;
  more_ = false;
  if (is_pending_ready()) finish_pending();
  if (stream_) {
    read_stream();
  } else {
    answer_requests();
  }
  go_on();
} catch (...) {
  fail();
}

/// After an exception (no memory for a buffer, or a stream that fails): closes this connection and
/// releases what it had. Otherwise a read or a wake could keep the session alive, and nothing would
/// continue it. REQUIRES: an exception is being handled, and the caller holds a reference.
void Session::fail() {
  worker_.report_exception();
  close();
}

void Session::answer_requests() {
  if (conversation_.answer_requests()) phase_ = Phase::idle;
  more_ = conversation_.is_round_full();
  if (auto answer = conversation_.take_pending()) begin_pending(std::move(answer));
  if (auto stream = conversation_.take_stream()) begin_stream(std::move(stream));
}

void Session::end_hearing() {
  if (std::exchange(is_heard_, false)) worker_.end_hearing();
}

void Session::go_on() {
  if (output_.is_empty()) return finish_round();
  const Index awaited = output_.awaited();
  if (awaited != 0 && !worker_.commit().is_durable(awaited)) {
    if (!output_.hold()) return close();
    state_ = State::waiting;
    if (await_durable(awaited)) {
      while_committing_ = this;
      return;
    }
  }
  send();
}

void Session::resume() {
  const Pointer self = std::move(while_committing_);
  if (state_ == State::closed) return;
  LOCKER_ASSERT(state_ == State::waiting);
  try {
    send();  // the session may end, or wait again
  } catch (...) {
    fail();
  }
}

void Session::send() {
  state_ = State::writing;
  end_hearing();
  // The client may have left while the answer that it waited for was being made durable. The kernel
  // would take the answer nevertheless, and the read that would notice may not have had its turn,
  // because this thread itself was committing.
  if (output_.owes_who_waited() && has_left()) return close();
  ErrorCode error;
  output_.add_sent(transport_.write_some(output_.unsent(), error));
  if (error && error != net::error::would_block) return close();
  if (output_.is_sent()) return finish_round();
  if (!output_.hold()) return cut_off();
  write();
}

void Session::write() {
  const HttpLimits& limits = worker_.limits();
  expire_in(within_limit_ ? limits.write_progress : limits.over_limit);
  transport_.async_write_some(output_.unsent(),
                              [self = Pointer{this}](const ErrorCode& error, std::size_t size) {
                                self->on_write(error, size);
                              });
}

void Session::on_write(const ErrorCode& error, std::size_t size) try {
  if (state_ == State::closed) return;
  if (error) return close();
  output_.add_sent(size);
  if (output_.is_sent()) return finish_round();
  write();
} catch (...) {
  fail();
}

void Session::finish_round() {
  if (!output_.is_empty()) conversation_.finish_round();
  if (stream_ && !output_.is_empty()) {
    stream_begun_ = true;
    expire_in(worker_.limits().stream_silence);
  }
  output_.finish();
  if (conversation_.has_ended()) return linger();
  if (more_ || is_pending_ready()) return yield();
  if (pending_ || stream_) return hold();
  if (input_.is_empty()) {
    if (phase_ != Phase::fresh) enter(Phase::idle);
    // This answer did not say `Connection: close`, so the next request may be on its way.
    if (worker_.is_draining()) hurry();
  } else {
    enter(conversation_.parser().awaits_body() ? Phase::body : Phase::header);
  }
  read();
}

void Session::yield() {
  // The other connections come first: one that pipelines without end must not occupy the thread.
  state_ = State::yielding;
  net::post(worker_.executor(), [self = Pointer{this}] {
    if (self->state_ == State::yielding) self->run_round();
  });
}

void Session::hold() {
  state_ = pending_ ? State::pending : State::streaming;
  watch();
}

void Session::watch() {
  if (reads_) return;
  if (read_ended_) return close();
  if (stream_) input_.clear();  // what follows the request is ignored
  input_.compact();
  // Until its turn comes, no more is read than an idle connection's buffer holds.
  const std::size_t size_max = worker_.limits().read_buffer;
  const std::size_t size = input_.unread().size();
  if (size < size_max) begin_read(size_max - size);
}

void Session::linger() {
  ErrorCode error;
  // Unread bytes make the kernel send a reset, which can overtake the answer.
  const bool unread_bytes = !input_.is_empty() || transport_.has_unread();
  if (!conversation_.has_refused() && !unread_bytes) return close();
  transport_.shut_down_sending(error);
  if (error) return close();
  state_ = State::lingering;
  expire_in(worker_.limits().linger);
  if (reads_) return;
  input_.clear();
  read();
}

void Session::tick(SteadyClock::time_point now) try {
  if (state_ == State::pending && !reads_ && has_left()) return close();
  const bool has_deadline =
      state_ != State::waiting && state_ != State::yielding && state_ != State::pending;
  if (!has_deadline) return;
  if (now < deadline_) {
    if (!idle_hook.is_linked() && is_idle_for(worker_.limits().makes_way, now)) {
      worker_.on_long_idle(*this);
    }
    return;
  }
  if (state_ == State::streaming) {
    stream_->append_comment(output_.bytes());
    return send();
  }
  const bool owes_answer = state_ == State::reading &&
                           (!within_limit_ || phase_ == Phase::header || phase_ == Phase::body);
  if (owes_answer) return time_out();
  cut_off();
} catch (...) {
  fail();
}

bool Session::is_idle_for(SteadyClock::duration time, SteadyClock::time_point now) const {
  const bool is_idle = within_limit_ && state_ == State::reading && input_.is_empty() &&
                       (phase_ == Phase::idle || phase_ == Phase::fresh);
  return is_idle && now >= deadline_ - time_of(phase_) + time;
}

bool Session::make_way() {
  idle_hook.unlink();
  if (transport_.has_unread()) return false;
  close();
  return true;
}

void Session::time_out() {
  // A write would have to go on with the handshake, which the read that is under way is doing.
  if (!transport_.can_write()) {
    if (!within_limit_) worker_.count_turned_away();
    return close();
  }
  conversation_.begin_round(SteadyClock::now());
  // The read that is under way goes on, and becomes the one that lingers.
  if (within_limit_) {
    conversation_.refuse_unread(too_slow);
  } else {
    conversation_.refuse_over_limit();
  }
  send();
}

void Session::drain() try {
  if (pending_) return drain_pending();
  if (stream_) return drain_stream();
  if (state_ != State::reading || !input_.is_empty()) return;
  if (phase_ == Phase::fresh) return hurry();  // even if a part of its handshake has come
  if (!transport_.has_unread()) close();
} catch (...) {
  fail();
}

void Session::hurry() {
  deadline_ = std::min(deadline_, worker_.now() + worker_.limits().drain_first_byte);
}

/// Closes, with a reset if the client has not taken everything that was sent. After an orderly
/// close the kernel would keep that until the client takes it, for minutes.
void Session::cut_off() {
  int untaken = 0;
  const bool is_known = ::ioctl(transport_.socket().native_handle(), SIOCOUTQ, &untaken) == 0;
  ErrorCode ignored;
  if (!is_known || untaken > 0) {
    transport_.socket().set_option(net::socket_base::linger(true, 0), ignored);
  }
  close();
}

void Session::close() {
  if (state_ == State::closed) return;
  state_ = State::closed;
  transport_.close();
  unlink();
  idle_hook.unlink();
  end_hearing();
  worker_.on_closed(within_limit_);
  input_.give_up();
  output_.give_up();
  if (pending_) return give_up_pending();
  if (stream_) end_stream();
}

}  // namespace locker::server
