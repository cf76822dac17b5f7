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

void Session::begin_pending(std::unique_ptr<PendingAnswer> answer, const Asked& asked) {
  auto later = std::make_unique<Later>();
  later->answer = std::move(answer);
  later->asked = asked;
  later->asked_at = round_began_;
  later->asked.method = later->asked.path = {};  // they point into the buffer
  if (worker_.hooks().access) {
    later->method = asked.method;
    later->path = asked.path;
    later->asked.method = later->method;
    later->asked.path = later->path;
  }
  later_ = std::move(later);
  while_wakeable_ = this;
  worker_.mail().begin_await_wake();
  later_->answer->start(*this);
  if (worker_.is_draining()) drain_pending();
}

bool Session::abandon_pending() {
  if (!later_->answer->abandon()) return false;
  later_->progress = Later::Progress::abandoned;
  worker_.mail().end_await_wake();
  return true;
}

void Session::drain_pending() {
  if (later_->progress != Later::Progress::awaited || !abandon_pending()) return;
  while_wakeable_.reset();  // the caller holds another reference
  if (state_ == State::pending) run_round();
}

bool Session::is_pending_ready() const {
  return later_ && later_->progress != Later::Progress::awaited;
}

void Session::finish_pending() {
  const std::unique_ptr<Later> later = std::move(later_);
  waiting_began_ = later->asked_at;
  Response& response = worker_.fresh_response();
  response.call = CallKind::waited;
  if (later->progress == Later::Progress::abandoned) {
    fill_in(draining, response);
    last_round_ = true;
    return append(response, later->asked, ConnectionField::close);
  }
  try {
    later->answer->finish(response);
  } catch (...) {
    worker_.report_exception();
    return answer_fault(later->asked);
  }
  append_answer(response, later->asked, input_.is_empty());
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
  if (!later_) return;
  worker_.mail().end_await_wake();
  later_->progress = Later::Progress::woken;
  if (state_ == State::closed) return finish_unseen();
  if (state_ == State::pending) run_round();
}

/// Call after close().
void Session::give_up_pending() {
  switch (later_->progress) {
    case Later::Progress::awaited:
      if (!abandon_pending()) return;  // on_wake() goes on from here
      later_.reset();
      return while_wakeable_.reset();
    case Later::Progress::woken:
      return finish_unseen();
    case Later::Progress::abandoned:
      return later_.reset();
  }
}

/// Finishes an answer that nobody receives. Destroying the response, with its Delivery, undoes what
/// it granted.
void Session::finish_unseen() {
  const std::unique_ptr<Later> later = std::move(later_);
  Response response;
  try {
    later->answer->finish(response);
  } catch (...) {
    worker_.report_exception();
  }
}

void Session::begin_stream(Response& response, const Asked& asked) {
  append(response, asked, ConnectionField::close);
  // A request that comes while the server stops gets no stream either.
  last_round_ = asked.to_head || worker_.is_draining();
  if (last_round_) return response.stream.reset();
  stream_ = std::move(response.stream);
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
      last_round_ = true;
      return end_stream();
  }
}

/// May release the last reference.
void Session::end_stream() {
  stream_.reset();
  if (worker_.mail().has_mail(*this)) return;  // on_wake() releases it
  while_wakeable_.reset();
}

/// Ends immediately, except for the answers before the stream.
void Session::drain_stream() {
  if (state_ == State::writing && stream_begun_) return cut_off();
  last_round_ = true;
  end_stream();
  if (stream_begun_) linger();
}

}  // namespace locker::server
