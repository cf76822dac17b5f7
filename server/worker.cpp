#include "server/worker.hpp"

#include <algorithm>
#include <ctime>
#include <utility>

#include <boost/asio/post.hpp>

namespace locker::server {
namespace {

using ErrorCode = boost::system::error_code;

/// The worker that is in GroupCommit::commit() on this thread: its sessions need no mailbox.
thread_local const Worker* committing_here = nullptr;

}  // namespace

Worker::Worker(net::io_context& io_context, RequestHandler& handler, GroupCommit& commit,
               Options options)
    : io_context_(io_context),
      handler_(handler),
      commit_(commit),
      options_(std::move(options)),
      alive_(std::make_shared<Worker*>(this)),
      timer_(io_context.get_executor()) {
  read_clocks();
}

Worker::~Worker() {
  stop();
  if (waiting_ != 0) {
    commit_.commit_until(awaited_max_);
    std::unique_lock lock{mailbox_.mutex};
    mailbox_.arrived.wait(lock, [this] { return mailbox_.count == waiting_; });
    mailbox_.list.resume_all();
  }
  // commit() may have left records to us that other workers wait for.
  while (commit_posted_ && commit_.commit()) {
  }
  *alive_ = nullptr;
}

template <void (Worker::*member)()>
void Worker::post_later() {
  net::post(io_context_, [alive = alive_] {
    if (Worker* const worker = *alive) (worker->*member)();
  });
}

ErrorCode Worker::listen(const tcp::endpoint& endpoint) {
  auto acceptors = open_acceptors(endpoint, {io_context_.get_executor()});
  if (!acceptors) return acceptors.error();
  listen(std::move(acceptors->front()));
  return {};
}

void Worker::listen(Acceptor acceptor) {
  listener_ = std::make_shared<Listener>(std::move(acceptor), commit_, options_.limits.accept_pause,
                                         [this](Socket socket) { adopt(std::move(socket)); });
  listener_->start();
}

void Worker::adopt(Socket socket) {
  std::string peer;
  if (options_.hooks.access) {
    ErrorCode ignored;
    const tcp::endpoint endpoint = socket.remote_endpoint(ignored);
    peer = endpoint.address().to_string() + ':' + std::to_string(endpoint.port());
  }
  start_ticking();
  if (!options_.connections || options_.connections->enter()) {
    const Session::Pointer session{new Session{*this, std::move(socket), std::move(peer), true}};
    sessions_.push_back(*session);
    session->start();
  } else if (turned_away_ < options_.limits.turned_away_max) {
    ++turned_away_;
    const Session::Pointer session{new Session{*this, std::move(socket), std::move(peer), false}};
    sessions_.push_back(*session);
    session->turn_away();
  }
}

void Worker::on_closed(bool counted) {
  if (!counted) {
    --turned_away_;
  } else if (options_.connections) {
    options_.connections->leave();
  }
}

void Worker::drain(std::chrono::milliseconds grace) {
  if (draining_) return;
  read_clocks();
  draining_ = true;
  drained_by_ = now_ + grace;
  if (listener_) std::exchange(listener_, nullptr)->finish();
  for (auto next = sessions_.begin(); next != sessions_.end();) {
    Session& session = *next++;  // it may leave the list
    session.drain();
  }
}

void Worker::stop() {
  draining_ = true;
  if (listener_) std::exchange(listener_, nullptr)->close();
  while (!sessions_.empty()) sessions_.front().close();
}

Response& Worker::fresh_response() {
  reset(response_, options_.limits.output_kept);
  return response_;
}

void Worker::report(std::string_view what) {
  if (options_.hooks.on_error) options_.hooks.on_error(what);
}

// Who commits. A session that waits has a commit posted behind the handlers that are ready now, so
// that what their connections ask joins the batch. Nobody waits for ever:
//   When wait() returns true its index is not durable, so under GroupCommit's mutex its record was
//   either in the open batch, or in the one under way. Under way: the thread at work takes the
//   waiter along, because it unlinks the ripe ones under the mutex after durable_index_ is set; a
//   wait() that comes after that returns false. In the open batch: the commit() posted here takes
//   it, or finds another thread at work and returns false. Then that thread is not past its last
//   critical section, will find records in the open batch there, and its commit() returns true:
//   its caller has taken on to call again. A worker does so here; ~Worker does for what it leaves;
//   commit_until() hands it on to a session that waits.
bool Worker::await_durable(Session& session, Index index) {
  if (!commit_posted_) {
    post_later<&Worker::commit_batch>();
    commit_posted_ = true;
  }
  if (!commit_.wait(session, index)) return false;
  ++waiting_;
  awaited_max_ = std::max(awaited_max_, index);
  return true;
}

void Worker::commit_batch() {
  committing_here = this;
  const bool more = commit_.commit_or_hand_over();
  committing_here = nullptr;
  commit_posted_ = more;
  if (more) post_later<&Worker::commit_batch>();
  waiting_ -= ready_.resume_all();
}

void Worker::on_durable(Session& session) {
  if (committing_here == this) return ready_.push(session);
  // Under the mutex to the end: ~Worker waits for the count, and then nothing of it may be used.
  const std::lock_guard lock{mailbox_.mutex};
  mailbox_.list.push(session);
  ++mailbox_.count;
  if (!std::exchange(mailbox_.posted, true)) post_later<&Worker::take_mail>();
  mailbox_.arrived.notify_one();
}

void Worker::on_commit_needed() { post_later<&Worker::commit_batch>(); }

void Worker::take_mail() {
  ReadyList list;
  {
    const std::lock_guard lock{mailbox_.mutex};
    list = std::exchange(mailbox_.list, {});
    mailbox_.count = 0;
    mailbox_.posted = false;
  }
  waiting_ -= list.resume_all();
}

void Worker::ReadyList::push(Session& session) {
  session.next_ready = nullptr;
  (last_ == nullptr ? first_ : last_->next_ready) = &session;
  last_ = &session;
}

std::size_t Worker::ReadyList::resume_all() {
  std::size_t count = 0;
  last_ = nullptr;
  for (Session* session = std::exchange(first_, nullptr); session != nullptr; ++count) {
    Session* const next = session->next_ready;  // the session may end, or wait again
    session->resume();
    session = next;
  }
  return count;
}

void Worker::start_ticking() {
  if (ticking_) return;
  read_clocks();
  ticking_ = true;
  schedule_tick();
}

void Worker::schedule_tick() {
  timer_.expires_after(options_.limits.tick);
  timer_.async_wait([alive = alive_](const ErrorCode& error) {
    Worker* const worker = *alive;
    if (!error && worker != nullptr) worker->tick();
  });
}

void Worker::tick() {
  const SteadyClock::time_point before = now_;
  read_clocks();
  // This thread was held up (a slow disk, a stopped process): what clients sent meanwhile has not
  // been looked at, so the time does not count against them.
  const auto held_up = now_ - before - options_.limits.tick;
  const bool pardon = held_up > 5 * options_.limits.tick;
  for (auto next = sessions_.begin(); next != sessions_.end();) {
    Session& session = *next++;  // it may leave the list
    if (pardon) session.extend_deadline(held_up);
    session.tick(now_);
  }
  if (now_ >= drained_by_) stop();
  // While somebody waits for another thread's commit the ticks keep the io_context running.
  ticking_ = !sessions_.empty() || waiting_ != 0;
  if (ticking_) schedule_tick();
}

void Worker::read_clocks() {
  now_ = SteadyClock::now();
  date_.set(std::time(nullptr));
}

}  // namespace locker::server
