#include "server/http/listener.hpp"

#include <fcntl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <ctime>
#include <utility>

#include <boost/asio/buffer.hpp>
#include <boost/asio/detail/socket_option.hpp>
#include <boost/asio/ip/v6_only.hpp>
#include <boost/system/system_error.hpp>

#include "server/http/response_framing.hpp"

namespace locker::server {
namespace {

using ErrorCode = boost::system::error_code;
using ReusePort = net::detail::socket_option::boolean<SOL_SOCKET, SO_REUSEPORT>;

constexpr int backlog = 4096;
// Kernel buffers per connection, for answers that the client does not take and requests that are
// not read yet; the kernel doubles them for its own overhead. Left alone they grow to megabytes,
// and a thousand clients that do not read take all the memory that the machine has for TCP.
constexpr int send_buffer_bytes = 128 * 1024;
constexpr int receive_buffer_bytes = 64 * 1024;
constexpr int accepts_max = 64;  // per wake-up, so that connections get their turn

int open_spare_descriptor() { return ::open("/dev/null", O_RDONLY | O_CLOEXEC); }

/// Throws boost::system::system_error, like the next function.
void bind_to(Acceptor& acceptor, const tcp::endpoint& endpoint, bool shared) {
  acceptor.open(endpoint.protocol());
  acceptor.set_option(net::socket_base::reuse_address(true));
  if (endpoint.address().is_v6()) acceptor.set_option(net::ip::v6_only(false));
  if (shared) acceptor.set_option(ReusePort(true));
  acceptor.bind(endpoint);
}

void open(Acceptor& acceptor, const tcp::endpoint& endpoint, bool shared) {
  bind_to(acceptor, endpoint, shared);
  // Before listen(): the size of the receive buffer takes part in the handshake. Connections
  // inherit both.
  acceptor.set_option(net::socket_base::send_buffer_size(send_buffer_bytes));
  acceptor.set_option(net::socket_base::receive_buffer_size(receive_buffer_bytes));
  acceptor.listen(backlog);
  acceptor.non_blocking(true);
}

bool is_shortage(const ErrorCode& error) {
  return error == net::error::no_descriptors || error == net::error::no_memory ||
         error == net::error::no_buffer_space ||
         error == boost::system::errc::too_many_files_open_in_system;
}

}  // namespace

boost::system::result<std::vector<Acceptor>> open_acceptors(
    const tcp::endpoint& endpoint, const std::vector<Executor>& executors) try {
  tcp::endpoint chosen = endpoint;
  const bool shared = executors.size() > 1;
  if (shared && chosen.port() != 0) {
    // SO_REUSEPORT would let us in alongside another server of the same user. This probe does not
    // listen: a client that connected to it would be cut off.
    Acceptor probe{executors.front()};
    bind_to(probe, chosen, false);
  }
  std::vector<Acceptor> acceptors;
  for (const Executor& executor : executors) {
    Acceptor& acceptor = acceptors.emplace_back(executor);
    open(acceptor, chosen, shared);
    chosen = acceptor.local_endpoint();
  }
  return acceptors;
} catch (const boost::system::system_error& error) {
  return error.code();
}

Listener::Listener(Acceptor acceptor, const GroupCommit& commit, std::chrono::milliseconds pause,
                   bool speaks_plain_http, std::function<void(Socket)> on_accept)
    : acceptor_(std::move(acceptor)),
      timer_(acceptor_.get_executor()),
      commit_(commit),
      pause_(pause),
      speaks_plain_http_(speaks_plain_http),
      on_accept_(std::move(on_accept)),
      spare_descriptor_(open_spare_descriptor()) {}

Listener::~Listener() {
  if (spare_descriptor_ >= 0) ::close(spare_descriptor_);
}

void Listener::start() { wait(); }

void Listener::wait() {
  if (is_waiting_) return;
  acceptor_.async_wait(Acceptor::wait_read, [self = shared_from_this()](const ErrorCode& error) {
    self->is_waiting_ = false;
    if (!error && self->acceptor_.is_open()) self->on_ready();
  });
  is_waiting_ = true;
}

void Listener::on_ready() {
  // First, in the memory of the finished wait: if there is no more for a connection, and something
  // throws, later connections are still accepted.
  wait();
  if (accept_those_there(accepts_max) != Found::no_descriptor) return;
  turn_one_away();
  pause();
}

Listener::Found Listener::accept_those_there(int at_most) {
  for (int i = 0; i < at_most; ++i) {
    ErrorCode error;
    Socket socket{acceptor_.get_executor()};
    acceptor_.accept(socket, error);
    if (error == net::error::would_block) return Found::all;
    if (is_shortage(error)) return Found::no_descriptor;
    if (!error) on_accept_(std::move(socket));  // else: the client has gone again
    if (!acceptor_.is_open()) return Found::all;
  }
  return Found::some;
}

void Listener::turn_one_away() {
  if (spare_descriptor_ >= 0) ::close(spare_descriptor_);
  ErrorCode error;
  Socket socket{acceptor_.get_executor()};
  acceptor_.accept(socket, error);
  if (!error && speaks_plain_http_) {
    Response response;
    fill_in({503, "out_of_descriptors", "The server has too many open files; try again soon."},
            response);
    DateText date;
    date.set(std::time(nullptr));
    std::string text;
    append_response(response, date.text(), commit_.durable_index(), ConnectionField::close, false,
                    text);
    socket.non_blocking(true, error);
    if (!error) socket.write_some(net::buffer(text), error);
  }
  socket.close(error);
  spare_descriptor_ = open_spare_descriptor();
}

void Listener::pause() {
  timer_.expires_after(pause_);
  timer_.async_wait([self = shared_from_this()](const ErrorCode& error) {
    if (!error && self->acceptor_.is_open()) self->on_ready();
  });
  ErrorCode ignored;
  acceptor_.cancel(ignored);
}

void Listener::finish() {
  while (acceptor_.is_open() && accept_those_there(accepts_max) == Found::some) {
  }
  close();
}

void Listener::close() {
  ErrorCode ignored;
  acceptor_.close(ignored);
  timer_.cancel();
}

}  // namespace locker::server
