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

/// The server's side of TLS on one connection: turns bytes of the socket into those of HTTP and
/// back. Never blocks, and waits for nothing itself. The handshake is a part of the first reads
/// and writes. On one thread.
///
/// A write to a connection that the client has reset raises SIGPIPE, which a program that serves
/// TLS has to ignore.
class TlsChannel {
 public:
  struct Free {
    void operator()(ssl_st* ssl) const;
  };
  using Ssl = std::unique_ptr<ssl_st, Free>;

  /// `ssl` is set up to accept on a socket that does not block.
  explicit TlsChannel(Ssl ssl);
  TlsChannel(const TlsChannel&) = delete;  // OpenSSL knows where it is
  TlsChannel& operator=(const TlsChannel&) = delete;

  /// Reads what is there. Would block: see needs(); so it says, too, when much came that is no
  /// data, so that others get their turn. The end of file is the client's orderly end, or that of
  /// the connection. protocol_error: see fault().
  std::size_t read_some(net::mutable_buffer buffer, boost::system::error_code& error);
  /// Writes what the socket takes. After "would block" the next call has to begin with the same
  /// bytes.
  std::size_t write_some(net::const_buffer buffer, boost::system::error_code& error);
  /// What the socket must be ready for before the last call that would have blocked is tried again.
  [[nodiscard]] Socket::wait_type needs() const { return needs_; }
  /// Until then no data can be written.
  [[nodiscard]] bool is_handshake_over() const;
  /// Whether bytes of the socket are here that read_some() has not given out; not always enough of
  /// them for it to give out one.
  [[nodiscard]] bool has_pending() const;
  /// Tells the client, if it can be told at once, that nothing more is sent.
  void shut_down();

  /// The subject of the client's certificate, as in RFC 2253: "CN=ci,O=Acme". Empty without one.
  [[nodiscard]] std::string client_certificate() const;
  /// Why the last call failed, in OpenSSL's words; empty when it did not.
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
  unsigned socket_reads_left_ = 0;      // of this call
  std::size_t bytes_without_data_ = 0;  // from the socket, since read_some() gave out something
  bool is_plain_http_ = false;
  bool is_broken_ = false;  // nothing may be done with it any more
};

}  // namespace locker::server
