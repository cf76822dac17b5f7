#pragma once

#include <cstddef>
#include <memory>
#include <string>

#include <boost/asio/buffer.hpp>
#include <boost/system/error_code.hpp>

#include "server/http/net.hpp"

struct bio_st;  // OpenSSL's
struct ssl_st;

namespace locker::server {

/// The server's side of TLS on one connection: converts between the bytes of the socket and those
/// of HTTP. Never blocks, and does no waiting itself. The handshake is part of the first reads and
/// writes. On one thread.
///
/// A write to a connection that the client has reset raises SIGPIPE, which a program that serves
/// TLS must ignore.
class TlsChannel {
 public:
  struct Free {
    void operator()(ssl_st* ssl) const;
  };
  using Ssl = std::unique_ptr<ssl_st, Free>;

  /// `ssl` must be set up to accept, on a non-blocking socket.
  explicit TlsChannel(Ssl ssl);
  TlsChannel(const TlsChannel&) = delete;  // OpenSSL knows where it is
  TlsChannel& operator=(const TlsChannel&) = delete;

  /// Reads what is there. would_block: see needs(); also returned when much came that is no data,
  /// so that other connections get their turn. eof: the client closed in an orderly way, or the
  /// connection ended. protocol_error: see fault().
  std::size_t read_some(net::mutable_buffer buffer, boost::system::error_code& error);
  /// Writes what the socket takes. After would_block the next call must begin with the same bytes.
  std::size_t write_some(net::const_buffer buffer, boost::system::error_code& error);
  /// What the socket must be ready for before the last call that would have blocked is retried.
  [[nodiscard]] Socket::wait_type needs() const { return needs_; }
  /// Until then no data can be written.
  [[nodiscard]] bool is_handshake_over() const;
  /// Whether there are bytes from the socket that read_some() has not returned; they may be too few
  /// for it to return any.
  [[nodiscard]] bool has_pending() const;
  /// Notifies the client, if that is possible immediately, that nothing more is sent.
  void shut_down();

  /// The subject of the client's certificate, as in RFC 2253: "CN=ci,O=Acme". Empty without one.
  [[nodiscard]] std::string client_certificate() const;
  /// Why the last call failed, in OpenSSL's words; empty if it did not.
  [[nodiscard]] const std::string& fault() const { return fault_; }
  /// Whether it failed because the client spoke HTTP without TLS. Nothing was sent to it then.
  [[nodiscard]] bool is_plain_http() const { return is_plain_http_; }

 private:
  static long before_socket_read(bio_st* socket, int operation, const char* data, std::size_t size,
                                 int argument, long more, int result, std::size_t* processed);
  [[nodiscard]] bool begin_call(boost::system::error_code& error);
  void explain(int result, boost::system::error_code& error);
  void break_off(std::string fault, boost::system::error_code& error);

  Ssl ssl_;
  Socket::wait_type needs_ = Socket::wait_read;
  std::string fault_;
  unsigned socket_reads_left_ = 0;      // in this call
  std::size_t bytes_without_data_ = 0;  // from the socket, since read_some() last returned data
  bool is_plain_http_ = false;
  bool is_broken_ = false;  // it must not be used any more
};

}  // namespace locker::server
