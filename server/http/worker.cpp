#include "server/http/worker.hpp"

#include <algorithm>
#include <ctime>
#include <exception>
#include <limits>
#include <new>
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
      buffered_(options_.buffered ? options_.buffered
                                  : std::make_shared<SharedCount>(options_.limits.buffered_max)),
      metrics_(options_.metrics ? options_.metrics : std::make_shared<WorkerMetrics>()),
      alive_(std::make_shared<Worker*>(this)),
      timer_(io_context.get_executor()) {
  read_clocks();
}

Worker::~Worker() {
  stop();
  await_wakes();
  await_durability();
  // commit() may have left records to us that other workers wait for.
  while (commit_posted_ && commit_.commit()) {
  }
  *alive_ = nullptr;
}

void Worker::await_wakes() {
  constexpr auto all = std::numeric_limits<std::size_t>::max();
  while (deliver_wakes(all)) {  // also those of streams, which nobody has to wait for
  }
  while (awaited_wakes_ != 0) {
    {
      std::unique_lock lock{mailbox_.mutex};
      mailbox_.arrived.wait(lock, [this] { return !mailbox_.woken.empty(); });
    }
    static_cast<void>(deliver_wakes(all));
  }
}

void Worker::await_durability() {
  constexpr auto all = std::numeric_limits<std::size_t>::max();
  resume(all);
  if (waiting_ == 0) return;
  commit_.commit_until(awaited_max_);
  {
    std::unique_lock lock{mailbox_.mutex};
    mailbox_.arrived.wait(lock, [this] { return mailbox_.ready.size() == waiting_; });
    ready_.swap(mailbox_.ready);
  }
  resume(all);
}

template <void (Worker::*member)()>
bool Worker::post_later() noexcept {
  try {
    net::post(io_context_, [alive = alive_] {
      if (Worker* const worker = *alive) (worker->*member)();
    });
    return true;
  } catch (const std::bad_alloc&) {
    return false;  // the next tick does it
  }
}

ErrorCode Worker::listen(const tcp::endpoint& endpoint) {
  auto acceptors = open_acceptors(endpoint, {io_context_.get_executor()});
  if (!acceptors) return acceptors.error();
  listen(std::move(acceptors->front()));
  return {};
}

void Worker::listen(Acceptor acceptor) {
  listener_ = std::make_shared<Listener>(std::move(acceptor), commit_, options_.limits.accept_pause,
                                         options_.tls == nullptr,
                                         [this](Socket socket) { adopt(std::move(socket)); });
  listener_->start();
}

void Worker::adopt(Socket socket) {
  std::string peer;
  if (options_.hooks.access || options_.hooks.tell_peer) {
    ErrorCode ignored;
    const tcp::endpoint endpoint = socket.remote_endpoint(ignored);
    peer = endpoint.address().to_string() + ':' + std::to_string(endpoint.port());
  }
  start_ticking();
  metrics_->accepted.add();
  const bool has_place = find_place();
  if (!has_place) {
    if (turned_away_ == options_.limits.turned_away_max) return count_turned_away();
    ++turned_away_;
  }
  bool is_made = false;  // from then on the session gives its place back
  try {
    auto tls = options_.tls ? options_.tls->accept(socket.native_handle()) : nullptr;
    const Session::Pointer session{
        new Session{*this, {std::move(socket), std::move(tls)}, std::move(peer), has_place}};
    is_made = true;
    sessions_.push_back(*session);
    has_place ? session->start() : session->turn_away();
  } catch (...) {
    // No memory for it: this connection is closed, and the next one is accepted all the same.
    if (!is_made) on_closed(has_place);
    report_exception();
  }
}

/// Of this worker's own connections the one that has been idle for longest makes way.
bool Worker::find_place() {
  if (!options_.connections || options_.connections->add()) return true;
  while (!long_idle_.empty()) {
    const Session::Pointer session{&long_idle_.front()};
    if (!session->make_way()) continue;
    metrics_->made_way.add();
    return options_.connections->add();
  }
  return false;
}

void Worker::on_closed(bool within_limit) {
  if (!within_limit) {
    --turned_away_;
  } else if (options_.connections) {
    options_.connections->remove();
  }
}

bool Worker::begin_hearing() {
  if (heard_ >= options_.limits.heard_max) return false;
  ++heard_;
  return true;
}

void Worker::count_turned_away() {
  metrics_->turned_away.add();
  if (options_.hooks.turned_away) options_.hooks.turned_away();
}

void Worker::drain(std::chrono::milliseconds grace) {
  if (draining_) return;
  read_clocks();
  draining_ = true;
  drained_by_ = now_ + grace;
  if (listener_) std::exchange(listener_, nullptr)->finish();
  for (auto next = sessions_.begin(); next != sessions_.end();) {
    const Session::Pointer session{&*next++};  // it may leave the list
    session->drain();
  }
}

void Worker::stop() {
  draining_ = true;
  if (listener_) std::exchange(listener_, nullptr)->close();
  while (!sessions_.empty()) {
    const Session::Pointer session{&sessions_.front()};
    session->close();
  }
}

Response& Worker::fresh_response() {
  reset(response_, options_.limits.output_kept);
  return response_;
}

void Worker::report_exception() const {
  if (!options_.hooks.on_error) return;
  try {
    throw;
  } catch (const std::exception& exception) {
    options_.hooks.on_error(exception.what());
  } catch (...) {
    options_.hooks.on_error("an exception of an unknown type");
  }
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
  resume_ready();
}

void Worker::resume_ready() {
  if (!resume_posted_) resume_some();
}

void Worker::resume_some() {
  resume(resumed_in_turn);
  resume_posted_ = !ready_.empty() && post_later<&Worker::resume_some>();
}

void Worker::on_durable(Session& session) {
  if (committing_here == this) return ready_.push_back(session);
  // Under the mutex to the end: ~Worker waits for the count, and then nothing of it may be used.
  const std::lock_guard lock{mailbox_.mutex};
  mailbox_.ready.push_back(session);
  post_mail();
}

void Worker::on_woken(Session& session) {
  // Also on this worker's own thread, where a post() is cheap: the session's turn comes later, not
  // inside of whatever wakes it.
  const std::lock_guard lock{mailbox_.mutex};
  if (session.woken_hook.is_linked()) return;
  mailbox_.woken.push_back(session);
  post_mail();
}

// REQUIRES: the mailbox's mutex is held.
void Worker::post_mail() {
  if (!mailbox_.posted) mailbox_.posted = post_later<&Worker::take_mail>();
  mailbox_.arrived.notify_one();
}

bool Worker::has_mail(const Session& session) {
  const std::lock_guard lock{mailbox_.mutex};
  return session.woken_hook.is_linked();
}

bool Worker::is_mail_posted() {
  const std::lock_guard lock{mailbox_.mutex};
  return mailbox_.posted;
}

void Worker::on_commit_needed() { post_later<&Worker::commit_batch>(); }

void Worker::take_mail() {
  {
    const std::lock_guard lock{mailbox_.mutex};
    ready_.splice(ready_.end(), mailbox_.ready);
    mailbox_.posted = false;
  }
  resume_ready();
  if (!deliver_wakes(resumed_in_turn)) return;
  const std::lock_guard lock{mailbox_.mutex};
  post_mail();
}

// A session stays in the mail until its turn comes: only then may it be put into the list again.
/// Returns whether some are left.
bool Worker::deliver_wakes(std::size_t limit) {
  std::unique_lock lock{mailbox_.mutex};
  for (; limit > 0 && !mailbox_.woken.empty(); --limit) {
    Session& session = mailbox_.woken.front();
    mailbox_.woken.pop_front();
    lock.unlock();
    session.on_wake();
    lock.lock();
  }
  return !mailbox_.woken.empty();
}

void Worker::resume(std::size_t limit) {
  for (; limit > 0 && !ready_.empty(); --limit) {
    Session& session = ready_.front();
    ready_.pop_front();
    --waiting_;
    session.resume();
  }
}

void Worker::start_ticking() {
  if (ticking_) return;
  read_clocks();
  schedule_tick();
  ticking_ = true;
}

void Worker::schedule_tick() {
  timer_.expires_after(options_.limits.tick);
  timer_.async_wait([alive = alive_](const ErrorCode& error) {
    Worker* const worker = *alive;
    if (!error && worker != nullptr) worker->tick();
  });
}

void Worker::tick() {
  schedule_tick();  // first, in the memory of the wait that is over: there may be no other
  const SteadyClock::time_point before = now_;
  read_clocks();
  // This thread was held up (a slow disk, a stopped process): what clients sent meanwhile has not
  // been looked at, so the time does not count against them.
  const auto held_up = now_ - before - options_.limits.tick;
  const bool pardon = held_up > 5 * options_.limits.tick;
  for (auto next = sessions_.begin(); next != sessions_.end();) {
    const Session::Pointer session{&*next++};  // it may leave the list
    if (pardon) session->extend_deadline(held_up);
    session->tick(now_);
  }
  if (now_ >= drained_by_) stop();
  // Where there was no memory to post it.
  if (commit_posted_ || waiting_ != 0) commit_batch();
  if (!is_mail_posted()) take_mail();
  // While somebody waits for another thread's commit or wake the ticks keep the io_context running.
  ticking_ = !sessions_.empty() || waiting_ != 0 || awaited_wakes_ != 0 || commit_posted_;
  if (!ticking_) timer_.cancel();
}

void Worker::read_clocks() {
  now_ = SteadyClock::now();
  date_.set(std::time(nullptr));
}

}  // namespace locker::server
