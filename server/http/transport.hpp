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

/// The byte stream of one connection, with or without TLS. One read and one write at a time; the
/// owner keeps it alive while one is under way. On one thread.
class Transport {
 public:
  using ErrorCode = boost::system::error_code;

  /// `tls` null: without TLS.
  Transport(Socket socket, std::unique_ptr<TlsChannel> tls)
      : socket_(std::move(socket)), tls_(std::move(tls)) {}

  [[nodiscard]] Socket& socket() { return socket_; }

  /// Calls `handler(error, size)`, never from inside this call.
  template <typename Handler>
  void async_read_some(net::mutable_buffer buffer, Handler handler) {
    if (!tls_) return socket_.async_read_some(buffer, std::move(handler));
    if (!tls_->has_pending()) return read_when_ready(Socket::wait_read, buffer, std::move(handler));
    net::post(socket_.get_executor(), [this, buffer, handler = std::move(handler)]() mutable {
      read(buffer, std::move(handler));
    });
  }
  /// False during the handshake of TLS, and while a later message of it is incomplete: nothing can
  /// be sent.
  [[nodiscard]] bool can_write() const { return !tls_ || tls_->is_handshake_over(); }
  /// Writes what the socket takes immediately.
  std::size_t write_some(net::const_buffer buffer, ErrorCode& error) {
    return tls_ ? tls_->write_some(buffer, error) : socket_.write_some(buffer, error);
  }
  /// Writes some of what write_some() did not take.
  template <typename Handler>
  void async_write_some(net::const_buffer buffer, Handler handler) {
    if (!tls_) return socket_.async_write_some(buffer, std::move(handler));
    write_when_ready(buffer, std::move(handler));
  }

  /// Returns whether there are bytes that have not been read.
  [[nodiscard]] bool has_unread();
  /// Makes the connection end with an error when the client's host has vanished: when it has
  /// answered nothing, or taken nothing of what it was sent, for 30 s.
  void notice_dead_host();
  /// Sends nothing more.
  void shut_down_sending(ErrorCode& error);
  /// Closes; operations under way end soon with an error.
  void close();

  /// The subject of the client's certificate; empty without one.
  [[nodiscard]] std::string client_certificate() const;
  /// Why the last read failed, if TLS was the reason; otherwise empty.
  [[nodiscard]] const std::string& tls_fault() const;
  /// If the reason was that the client speaks HTTP without TLS, goes on without TLS, so that the
  /// client can be told. False: it was not. REQUIRES: nothing is under way.
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
                         // Closed in the meantime: its descriptor may be another connection's by
                         // now.
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
