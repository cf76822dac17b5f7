#pragma once

#include <cstddef>
#include <memory>
#include <utility>

#include <boost/asio/buffer.hpp>
#include <boost/asio/post.hpp>
#include <boost/system/error_code.hpp>

#include "server/http/net.hpp"
#include "server/http/tls_channel.hpp"

namespace locker::server {

/// The bytes of one connection, through TLS or as they are. One read and one write at a time; the
/// owner keeps it alive while one is under way. On one thread.
class Transport {
 public:
  using ErrorCode = boost::system::error_code;

  /// `tls` null: without.
  Transport(Socket socket, std::unique_ptr<TlsChannel> tls)
      : socket_(std::move(socket)), tls_(std::move(tls)) {}

  [[nodiscard]] Socket& socket() { return socket_; }

  /// `handler(error, size)`, never from inside of this call.
  template <typename Handler>
  void async_read_some(net::mutable_buffer buffer, Handler handler) {
    if (!tls_) return socket_.async_read_some(buffer, std::move(handler));
    if (!tls_->has_pending()) return read_when_ready(Socket::wait_read, buffer, std::move(handler));
    net::post(socket_.get_executor(), [this, buffer, handler = std::move(handler)]() mutable {
      read(buffer, std::move(handler));
    });
  }
  /// Whether the client can be told anything yet.
  [[nodiscard]] bool can_write() const { return !tls_ || tls_->is_handshake_over(); }
  /// What is taken at once.
  std::size_t write_some(net::const_buffer buffer, ErrorCode& error) {
    return tls_ ? tls_->write_some(buffer, error) : socket_.write_some(buffer, error);
  }
  /// The rest of what write_some() did not take.
  template <typename Handler>
  void async_write_some(net::const_buffer buffer, Handler handler) {
    if (!tls_) return socket_.async_write_some(buffer, std::move(handler));
    write_when_ready(buffer, std::move(handler));
  }

  /// Whether something is there that nobody has read.
  [[nodiscard]] bool has_unread();
  /// From now on the connection ends with an error when the client's host has vanished: when it
  /// has answered nothing, or taken nothing of what it was sent, for 30 s.
  void notice_dead_host();
  /// Nothing more is sent.
  void shut_down_sending(ErrorCode& error);
  /// What is under way ends soon with an error.
  void close();

  /// The subject of the client's certificate; empty without one.
  [[nodiscard]] std::string client_certificate() const;
  /// After a read that failed: why, if that was TLS's fault; else empty.
  [[nodiscard]] const std::string& tls_fault() const;
  /// When that was because the client speaks HTTP without TLS, goes on without it, so that it can
  /// be told. False: it was not. REQUIRES: nothing is under way.
  [[nodiscard]] bool turn_plain();

 private:
  template <typename Handler>
  void read_when_ready(Socket::wait_type what, net::mutable_buffer buffer, Handler handler) {
    socket_.async_wait(
        what, [this, buffer, handler = std::move(handler)](const ErrorCode& error) mutable {
          if (error) return handler(error, std::size_t{0});
          read(buffer, std::move(handler));
        });
  }
  template <typename Handler>
  void read(net::mutable_buffer buffer, Handler handler) {
    ErrorCode error = net::error::operation_aborted;
    std::size_t size = 0;
    if (socket_.is_open()) size = tls_->read_some(buffer, error);
    if (error != net::error::would_block) return handler(error, size);
    read_when_ready(tls_->needs(), buffer, std::move(handler));
  }
  template <typename Handler>
  void write_when_ready(net::const_buffer buffer, Handler handler) {
    socket_.async_wait(tls_->needs(),
                       [this, buffer, handler = std::move(handler)](ErrorCode error) mutable {
                         std::size_t size = 0;
                         // Closed meanwhile: its descriptor may be another connection's by now.
                         if (!socket_.is_open()) error = net::error::operation_aborted;
                         if (!error) size = tls_->write_some(buffer, error);
                         if (error != net::error::would_block) return handler(error, size);
                         write_when_ready(buffer, std::move(handler));
                       });
  }

  Socket socket_;
  std::unique_ptr<TlsChannel> tls_;
};

}  // namespace locker::server
