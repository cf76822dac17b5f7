#include "server/http/transport.hpp"

namespace locker::server {

bool Transport::has_unread() {
  ErrorCode error;
  return (tls_ && tls_->has_pending()) || socket_.available(error) > 0;
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
