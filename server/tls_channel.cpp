#include "server/tls_channel.hpp"

#include <openssl/err.h>
#include <openssl/ssl.h>

#include <cerrno>

#include <boost/asio/error.hpp>

namespace locker::server {

using ErrorCode = boost::system::error_code;

void TlsChannel::Free::operator()(ssl_st* ssl) const { SSL_free(ssl); }

std::size_t TlsChannel::read_some(net::mutable_buffer buffer, ErrorCode& error) {
  std::size_t size = 0;
  error = {};
  if (is_broken_) {
    error = boost::system::errc::make_error_code(boost::system::errc::protocol_error);
    return 0;
  }
  ERR_clear_error();
  const int result = SSL_read_ex(ssl_.get(), buffer.data(), buffer.size(), &size);
  if (result <= 0) explain(result, error);
  return size;
}

std::size_t TlsChannel::write_some(net::const_buffer buffer, ErrorCode& error) {
  std::size_t written = 0;
  error = {};
  if (is_broken_) {
    error = boost::system::errc::make_error_code(boost::system::errc::protocol_error);
    return 0;
  }
  while (written != buffer.size()) {  // a record at a time
    std::size_t size = 0;
    ERR_clear_error();
    const int result = SSL_write_ex(ssl_.get(), static_cast<const char*>(buffer.data()) + written,
                                    buffer.size() - written, &size);
    if (result <= 0) {
      explain(result, error);
      if (written != 0) error = {};  // if it is one that stays, the next call has it again
      break;
    }
    written += size;
  }
  return written;
}

void TlsChannel::explain(int result, ErrorCode& error) {
  const int system_error = errno;
  switch (SSL_get_error(ssl_.get(), result)) {
    case SSL_ERROR_WANT_READ:
      needs_ = Socket::wait_read;
      error = net::error::would_block;
      return;
    case SSL_ERROR_WANT_WRITE:
      needs_ = Socket::wait_write;
      error = net::error::would_block;
      return;
    case SSL_ERROR_ZERO_RETURN:  // answers can still be written
      error = net::error::eof;
      return;
    case SSL_ERROR_SYSCALL:
      is_broken_ = true;
      error = system_error == 0 ? ErrorCode{net::error::eof}
                                : ErrorCode{system_error, boost::system::system_category()};
      return;
    default:
      break;
  }
  is_broken_ = true;
  error = boost::system::errc::make_error_code(boost::system::errc::protocol_error);
  const unsigned long code = ERR_peek_error();
  const char* const reason = ERR_reason_error_string(code);
  fault_ = reason != nullptr ? reason : "unknown error";
  is_plain_http_ = ERR_GET_LIB(code) == ERR_LIB_SSL && ERR_GET_REASON(code) == SSL_R_HTTP_REQUEST;
}

bool TlsChannel::has_pending() const { return !is_broken_ && SSL_has_pending(ssl_.get()) == 1; }

void TlsChannel::shut_down() {
  if (is_broken_ || SSL_is_init_finished(ssl_.get()) == 0) return;
  ERR_clear_error();
  static_cast<void>(SSL_shutdown(ssl_.get()));  // who does not take it sees the connection's end
  ERR_clear_error();
}

}  // namespace locker::server
