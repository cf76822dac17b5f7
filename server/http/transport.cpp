#include "server/http/transport.hpp"

#include <netinet/in.h>
#include <netinet/tcp.h>

#include <boost/asio/detail/socket_option.hpp>
#include <boost/asio/socket_base.hpp>

namespace locker::server {
namespace {

template <int name>
using TcpOption = net::detail::socket_option::integer<IPPROTO_TCP, name>;

}  // namespace

bool Transport::has_unread() {
  ErrorCode error;
  return (tls_ && tls_->has_pending()) || socket_.available(error) > 0;
}

void Transport::notice_dead_host() {
  ErrorCode ignored;
  // A client that waits for a pending answer sends nothing for a long time.
  socket_.set_option(net::socket_base::keep_alive(true), ignored);
  socket_.set_option(TcpOption<TCP_KEEPIDLE>(15), ignored);
  socket_.set_option(TcpOption<TCP_KEEPINTVL>(5), ignored);
  socket_.set_option(TcpOption<TCP_KEEPCNT>(3), ignored);
  // While data is unacknowledged there are no such probes; the kernel would retransmit for a
  // quarter of an hour.
  socket_.set_option(TcpOption<TCP_USER_TIMEOUT>(30'000), ignored);
}

void Transport::shut_down_sending(ErrorCode& error) {
  if (tls_) tls_->shut_down();
  socket_.shutdown(tcp::socket::shutdown_send, error);
}

void Transport::close() {
  if (tls_ && socket_.is_open()) tls_->shut_down();
  ErrorCode ignored;
  socket_.close(ignored);
}

std::string Transport::client_certificate() const {
  return tls_ ? tls_->client_certificate() : std::string{};
}

const std::string& Transport::tls_fault() const {
  static const std::string none;
  return tls_ ? tls_->fault() : none;
}

bool Transport::turn_plain() {
  if (!tls_ || !tls_->is_plain_http()) return false;
  tls_.reset();
  return true;
}

}  // namespace locker::server
