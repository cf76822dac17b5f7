#include "server/http/tls_channel.hpp"

#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>

#include <cerrno>
#include <utility>

#include <boost/asio/error.hpp>

namespace locker::server {

using ErrorCode = boost::system::error_code;

namespace {

// OpenSSL reads on while no data comes. TLS's own messages (a key update costs its sender 27 bytes)
// would occupy this thread for ever, and all its other connections would wait.
constexpr unsigned socket_reads_of_call = 2;  // a record is often in two pieces
// More than a handshake with any usual certificate chain takes; nobody updates keys that often.
constexpr std::size_t bytes_without_data_max = 64 * std::size_t{1024};

}  // namespace

void TlsChannel::Free::operator()(ssl_st* ssl) const { SSL_free(ssl); }

TlsChannel::TlsChannel(Ssl ssl) : ssl_(std::move(ssl)) {
  BIO* const socket = SSL_get_rbio(ssl_.get());
  BIO_set_callback_arg(socket, reinterpret_cast<char*>(this));
  BIO_set_callback_ex(socket, before_socket_read);
}

/// OpenSSL calls this before and after every operation on the socket.
long TlsChannel::before_socket_read(BIO* socket, int operation, const char*, std::size_t, int, long,
                                    int result, std::size_t* processed) {
  auto& self = *reinterpret_cast<TlsChannel*>(BIO_get_callback_arg(socket));
  if (operation == (BIO_CB_READ | BIO_CB_RETURN) && result > 0) {
    self.bytes_without_data_ += *processed;
  }
  if (operation != BIO_CB_READ) return result;
  if (self.socket_reads_left_ > 0) {
    --self.socket_reads_left_;
    return result;
  }
  BIO_clear_retry_flags(socket);  // as if the socket would block
  BIO_set_retry_read(socket);
  return -1;
}

/// False: the channel must not be used any more.
bool TlsChannel::begin_call(ErrorCode& error) {
  error = {};
  if (is_broken_) {
    error = boost::system::errc::make_error_code(boost::system::errc::protocol_error);
  } else if (bytes_without_data_ > bytes_without_data_max) {
    break_off("too many messages without data", error);
  }
  if (error) return false;
  socket_reads_left_ = socket_reads_of_call;
  ERR_clear_error();
  return true;
}

std::size_t TlsChannel::read_some(net::mutable_buffer buffer, ErrorCode& error) {
  std::size_t size = 0;
  if (!begin_call(error)) return 0;
  const int result = SSL_read_ex(ssl_.get(), buffer.data(), buffer.size(), &size);
  if (result <= 0) explain(result, error);
  if (size != 0) bytes_without_data_ = 0;
  return size;
}

std::size_t TlsChannel::write_some(net::const_buffer buffer, ErrorCode& error) {
  std::size_t written = 0;
  if (!begin_call(error)) return 0;
  while (written != buffer.size()) {  // a record at a time
    std::size_t size = 0;
    ERR_clear_error();
    const int result = SSL_write_ex(ssl_.get(), static_cast<const char*>(buffer.data()) + written,
                                    buffer.size() - written, &size);
    if (result <= 0) {
      explain(result, error);
      if (written != 0) error = {};  // if the error persists, the next call gets it again
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
  const unsigned long code = ERR_peek_error();
  const char* const reason = ERR_reason_error_string(code);
  break_off(reason != nullptr ? reason : "unknown error", error);
  is_plain_http_ = ERR_GET_LIB(code) == ERR_LIB_SSL && ERR_GET_REASON(code) == SSL_R_HTTP_REQUEST;
}

void TlsChannel::break_off(std::string fault, ErrorCode& error) {
  is_broken_ = true;
  fault_ = std::move(fault);
  error = boost::system::errc::make_error_code(boost::system::errc::protocol_error);
}

bool TlsChannel::is_handshake_over() const { return SSL_is_init_finished(ssl_.get()) == 1; }

bool TlsChannel::has_pending() const { return !is_broken_ && SSL_has_pending(ssl_.get()) == 1; }

std::string TlsChannel::client_certificate() const {
  const X509* const certificate = SSL_get0_peer_certificate(ssl_.get());
  const std::unique_ptr<BIO, decltype(&BIO_free)> text{BIO_new(BIO_s_mem()), BIO_free};
  if (certificate == nullptr || !text) return {};
  X509_NAME_print_ex(text.get(), X509_get_subject_name(certificate), 0, XN_FLAG_RFC2253);
  const char* begin = nullptr;
  const long size = BIO_get_mem_data(text.get(), &begin);
  return {begin, static_cast<std::size_t>(size)};
}

void TlsChannel::shut_down() {
  if (is_broken_ || !is_handshake_over()) return;
  ERR_clear_error();
  static_cast<void>(SSL_shutdown(ssl_.get()));  // without it the client sees the connection end
  ERR_clear_error();
}

}  // namespace locker::server
