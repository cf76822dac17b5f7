#include "server/http/worker.hpp"

#include <algorithm>
#include <ctime>
#include <exception>
#include <utility>

namespace locker::server {

using ErrorCode = boost::system::error_code;

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
      timer_(io_context.get_executor()),
      mail_(io_context, commit) {
  read_clocks();
}

Worker::~Worker() {
  stop();
  *alive_ = nullptr;
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
  bool is_made = false;  // from then on the session releases its place
  try {
    auto tls = options_.tls ? options_.tls->accept(socket.native_handle()) : nullptr;
    const Session::Pointer session{
        new Session{*this, {std::move(socket), std::move(tls)}, std::move(peer), has_place}};
    is_made = true;
    sessions_.push_back(*session);
    has_place ? session->start() : session->turn_away();
  } catch (...) {
    // No memory for it: this connection is closed, and the next one is accepted nevertheless.
    if (!is_made) on_closed(has_place);
    report_exception();
  }
}

/// Finds room for a connection, if necessary by closing the one of this worker that has been idle
/// longest; also the next one, if another worker has taken its place meanwhile.
bool Worker::find_place() {
  while (options_.connections && !options_.connections->add()) {
    if (long_idle_.empty()) return false;
    const Session::Pointer session{&long_idle_.front()};
    if (session->make_way()) metrics_->made_way.add();
  }
  return true;
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
  schedule_tick();  // first, in the memory of the finished wait: there may be no other
  const SteadyClock::time_point before = now_;
  read_clocks();
  // This thread was held up (a slow disk, a stopped process): what clients sent in the meantime has
  // not been looked at, so the time does not count against them.
  const auto held_up = now_ - before - options_.limits.tick;
  const bool pardon = held_up > 5 * options_.limits.tick;
  for (auto next = sessions_.begin(); next != sessions_.end();) {
    const Session::Pointer session{&*next++};  // it may leave the list
    if (pardon) session->extend_deadline(held_up);
    session->tick(now_);
  }
  if (now_ >= drained_by_) stop();
  mail_.tick();
  // While a session waits for another thread's commit or wake, the ticks keep the io_context
  // running.
  ticking_ = !sessions_.empty() || mail_.waits();
  if (!ticking_) timer_.cancel();
}

void Worker::read_clocks() {
  now_ = SteadyClock::now();
  date_.set(std::time(nullptr));
}

}  // namespace locker::server
