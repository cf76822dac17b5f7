// The part of Session for pending answers and streams.
#include <poll.h>

#include <utility>

#include "server/http/session.hpp"
#include "server/http/worker.hpp"

namespace locker::server {
namespace {

constexpr Refusal draining{
    503, "draining", "The server is stopping; try again with the same token when it is back."};

}  // namespace

void Session::begin_pending(std::unique_ptr<PendingAnswer> answer) {
  pending_ = std::move(answer);
  progress_ = Progress::awaited;
  while_wakeable_ = this;
  begin_await_wake();
  pending_->start(*this);
  if (worker_.is_draining()) drain_pending();
}

bool Session::abandon_pending() {
  if (!pending_->abandon()) return false;
  progress_ = Progress::abandoned;
  end_await_wake();
  return true;
}

void Session::drain_pending() {
  if (progress_ != Progress::awaited || !abandon_pending()) return;
  while_wakeable_.reset();  // the caller holds another reference
  if (state_ == State::pending) run_round();
}

bool Session::is_pending_ready() const { return pending_ && progress_ != Progress::awaited; }

void Session::finish_pending() {
  const std::unique_ptr<PendingAnswer> answer = std::move(pending_);
  if (progress_ == Progress::abandoned) return conversation_.refuse_pending(draining);
  conversation_.finish_pending(*answer);
}

bool Session::has_left() {
  pollfd asked{transport_.socket().native_handle(), POLLRDHUP, 0};
  return ::poll(&asked, 1, 0) == 1;
}

void Session::on_wake() {
  const Pointer self{this};
  if (stream_) {
    if (state_ == State::streaming) return run_round();
    more_ = true;
    return;
  }
  // The reference is not needed after this: a pending answer wakes once, and otherwise this wake is
  // left over from a stream that has ended.
  while_wakeable_.reset();
  if (!pending_) return;
  end_await_wake();
  progress_ = Progress::woken;
  if (state_ == State::closed) return finish_unseen();
  if (state_ == State::pending) run_round();
}

/// Call after close().
void Session::give_up_pending() {
  switch (progress_) {
    case Progress::awaited:
      if (!abandon_pending()) return;  // on_wake() goes on from here
      pending_.reset();
      return while_wakeable_.reset();
    case Progress::woken:
      return finish_unseen();
    case Progress::abandoned:
      return pending_.reset();
  }
}

/// Finishes an answer that nobody receives. Destroying the response, with its Delivery, undoes what
/// it granted.
void Session::finish_unseen() {
  const std::unique_ptr<PendingAnswer> answer = std::move(pending_);
  Response response;
  try {
    answer->finish(response);
  } catch (...) {
    worker_.report_exception();
  }
}

void Session::begin_stream(std::unique_ptr<Stream> stream) {
  stream_ = std::move(stream);
  while_wakeable_ = this;
  more_ = true;
  stream_->start(*this);
}

void Session::read_stream() {
  switch (stream_->read(output_.bytes(), worker_.limits().stream_piece)) {
    case Stream::Outcome::more:
      more_ = true;
      return;
    case Stream::Outcome::waits:
      return;
    case Stream::Outcome::over:
      conversation_.end();
      return end_stream();
  }
}

/// May release the last reference.
void Session::end_stream() {
  stream_.reset();
  if (has_mail()) return;  // on_wake() releases it
  while_wakeable_.reset();
}

/// Ends immediately, except for the answers before the stream.
void Session::drain_stream() {
  if (state_ == State::writing && stream_begun_) return cut_off();
  conversation_.end();
  end_stream();
  if (stream_begun_) linger();
}

}  // namespace locker::server
