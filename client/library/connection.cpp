#include "client/library/connection.hpp"

#include <fcntl.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509_vfy.h>

#include <algorithm>
#include <utility>

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/as_tuple.hpp>
#include <boost/asio/ip/address.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/ssl/error.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/beast/http/read.hpp>
#include <boost/beast/http/write.hpp>

namespace locker::client {
namespace {

namespace http = boost::beast::http;
using ErrorCode = boost::system::error_code;

constexpr auto as_result = net::as_tuple(net::use_awaitable);

/// Requires a certificate for an IP address, without its zone: certificates do not name zones.
bool expect_address(SSL* ssl, const net::ip::address& address) {
  X509_VERIFY_PARAM* const parameters = SSL_get0_param(ssl);
  if (address.is_v4()) {
    const auto bytes = address.to_v4().to_bytes();
    return X509_VERIFY_PARAM_set1_ip(parameters, bytes.data(), bytes.size()) == 1;
  }
  const auto bytes = address.to_v6().to_bytes();
  return X509_VERIFY_PARAM_set1_ip(parameters, bytes.data(), bytes.size()) == 1;
}

}  // namespace

/// A name resolution. It lives until the system has answered, which cannot be cut short; the caller
/// may be gone by then.
struct Connection::Resolving {
  explicit Resolving(const net::any_io_executor& executor) : resolver(executor), timer(executor) {}

  net::ip::tcp::resolver resolver;
  net::steady_timer timer;
  ErrorCode error = net::error::host_not_found_try_again;
  net::ip::tcp::resolver::results_type found;
};

/// Loads the trusted CAs, and the client's certificate and key.
ErrorCode Connection::load_files(const ServerAddress::Tls& files) {
  ErrorCode error;
  const auto is_bad = [&](const char* what, const std::string& path) {
    if (error) bad_file_ = std::string{what} + " " + path + ": " + error.message();
    return error.failed();
  };
  if (files.ca_file.empty()) {
    context_->set_default_verify_paths(error);
    if (error) return error;
  } else {
    context_->load_verify_file(files.ca_file, error);
    if (is_bad("The CA file", files.ca_file)) return error;
  }
  if (files.certificate.empty()) return error;
  context_->use_certificate_chain_file(files.certificate, error);
  if (is_bad("The client certificate", files.certificate)) return error;
  const std::string& key = files.key.empty() ? files.certificate : files.key;
  context_->use_private_key_file(key, net::ssl::context::pem, error);
  static_cast<void>(is_bad("The client key", key));
  return error;
}

void Connection::hang_up() {
  ErrorCode ignored;
  stream_.socket().shutdown(net::ip::tcp::socket::shutdown_send, ignored);
}

void Connection::close() {
  ErrorCode ignored;
  if (const auto resolving = resolving_.lock()) resolving->timer.cancel();
  // HTTP delimits its answers, so TLS needs no close_notify. An operation under way ends later, and
  // uses tls_ and the buffer until then.
  stream_.socket().close(ignored);
  is_open_ = false;
}

ErrorCode Connection::prepare_tls(const ServerAddress& address) {
  context_.emplace(net::ssl::context::tls_client);
  SSL_CTX* const context = context_->native_handle();
  if (SSL_CTX_get_min_proto_version(context) < TLS1_2_VERSION) {  // openssl.cnf may require more
    SSL_CTX_set_min_proto_version(context, TLS1_2_VERSION);
  }
  SSL_CTX_set_options(context, SSL_OP_IGNORE_UNEXPECTED_EOF);
  if (const ErrorCode error = load_files(address.tls)) return error;
  tls_.emplace(stream_, *context_);
  tls_->set_verify_mode(net::ssl::verify_peer);
  SSL* const ssl = tls_->native_handle();
  const char* const host = address.host.c_str();
  ErrorCode is_name;
  const net::ip::address number = net::ip::make_address(address.host, is_name);
  const bool is_set =
      is_name ? SSL_set1_host(ssl, host) == 1 && SSL_set_tlsext_host_name(ssl, host) == 1
              : expect_address(ssl, number);
  if (is_set) return {};
  const unsigned long why = ::ERR_get_error();
  if (why == 0) return net::error::invalid_argument;  // not every refusal sets an error
  return {static_cast<int>(why), net::error::get_ssl_category()};
}

/// `timeout` bounds the whole resolution.
net::awaitable<ErrorCode> Connection::async_resolve(const ServerAddress& address,
                                                    std::chrono::milliseconds timeout,
                                                    net::ip::tcp::resolver::results_type& found) {
  const auto resolving = std::make_shared<Resolving>(stream_.get_executor());
  resolving_ = resolving;
  resolving->timer.expires_after(timeout);
  resolving->resolver.async_resolve(
      address.host, address.port,
      [resolving](const ErrorCode& error, net::ip::tcp::resolver::results_type results) {
        resolving->error = error;
        resolving->found = std::move(results);
        resolving->timer.cancel();
      });
  auto [is_over] = co_await resolving->timer.async_wait(as_result);
  static_cast<void>(is_over);
  resolving_.reset();
  // Drops the lookup if it is still queued.
  resolving->resolver.cancel();
  found = std::move(resolving->found);
  co_return resolving->error;
}

/// Tries the addresses in turn. Each has an equal share of the timeout, so that a silent one leaves
/// time for the others.
net::awaitable<ErrorCode> Connection::async_reach(const net::ip::tcp::resolver::results_type& found,
                                                  std::chrono::milliseconds timeout) {
  const auto each = timeout / static_cast<int>(std::max<std::size_t>(found.size(), 1));
  ErrorCode refused = net::error::host_not_found;
  for (const auto& entry : found) {
    ErrorCode ignored;
    stream_.socket().close(ignored);  // the next address may be of the other family
    stream_.expires_after(each);
    auto [error] = co_await stream_.async_connect(entry.endpoint(), as_result);
    refused = error;
    if (!refused || refused == net::error::operation_aborted) break;
  }
  co_return refused;
}

net::awaitable<ErrorCode> Connection::async_connect(const ServerAddress& address,
                                                    std::chrono::milliseconds timeout) {
  close();
  tls_.reset();
  buffer_.clear();
  distrust_.clear();
  bad_file_.clear();
  net::ip::tcp::resolver::results_type endpoints;
  const ErrorCode not_found = co_await async_resolve(address, timeout, endpoints);
  if (not_found) co_return not_found;
  const ErrorCode refused = co_await async_reach(endpoints, timeout);
  if (refused) co_return refused;
  ErrorCode ignored;
  stream_.socket().set_option(net::ip::tcp::no_delay{true}, ignored);
  ::fcntl(stream_.socket().native_handle(), F_SETFD, FD_CLOEXEC);  // not for child processes
  if (address.is_tls) {
    const ErrorCode unprepared = prepare_tls(address);
    if (unprepared) co_return unprepared;
    stream_.expires_after(timeout);
    auto [distrusted] = co_await tls_->async_handshake(net::ssl::stream_base::client, as_result);
    if (distrusted) {
      const long found = SSL_get_verify_result(tls_->native_handle());
      if (found != X509_V_OK) distrust_ = X509_verify_cert_error_string(found);
      co_return distrusted;
    }
  }
  is_open_ = true;
  co_return ErrorCode{};
}

net::awaitable<ErrorCode> Connection::async_write(Request& request) {
  if (tls_) {
    auto [error, size] = co_await http::async_write(*tls_, request, as_result);
    co_return error;
  }
  auto [error, size] = co_await http::async_write(stream_, request, as_result);
  co_return error;
}

net::awaitable<ErrorCode> Connection::async_read_header(Parser& parser) {
  if (tls_) {
    auto [error, size] = co_await http::async_read_header(*tls_, buffer_, parser, as_result);
    co_return error;
  }
  auto [error, size] = co_await http::async_read_header(stream_, buffer_, parser, as_result);
  co_return error;
}

net::awaitable<ErrorCode> Connection::async_read(Parser& parser) {
  if (tls_) {
    auto [error, size] = co_await http::async_read(*tls_, buffer_, parser, as_result);
    co_return error;
  }
  auto [error, size] = co_await http::async_read(stream_, buffer_, parser, as_result);
  co_return error;
}

net::awaitable<ErrorCode> Connection::async_read_some(Parser& parser) {
  if (tls_) {
    auto [error, size] = co_await http::async_read_some(*tls_, buffer_, parser, as_result);
    co_return error;
  }
  auto [error, size] = co_await http::async_read_some(stream_, buffer_, parser, as_result);
  co_return error;
}

}  // namespace locker::client
