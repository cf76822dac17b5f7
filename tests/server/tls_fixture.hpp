#pragma once

#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <memory>
#include <string>

#include <gtest/gtest.h>
#include <boost/asio/error.hpp>

#include "server/http/tls_channel.hpp"
#include "server/http/tls_context.hpp"

namespace locker::server {

template <auto function>
struct Free {
  template <class Object>
  void operator()(Object* object) const {
    function(object);
  }
};
using Context = std::unique_ptr<SSL_CTX, Free<SSL_CTX_free>>;

/// A TLS 1.3 context with a self-signed certificate.
inline Context server_context() {
  const std::unique_ptr<EVP_PKEY, Free<EVP_PKEY_free>> key{EVP_EC_gen("P-256")};
  const std::unique_ptr<X509, Free<X509_free>> certificate{X509_new()};
  X509_gmtime_adj(X509_getm_notBefore(certificate.get()), 0);
  X509_gmtime_adj(X509_getm_notAfter(certificate.get()), 3600);
  X509_set_pubkey(certificate.get(), key.get());
  EXPECT_GT(X509_sign(certificate.get(), key.get(), EVP_sha256()), 0);
  Context context{SSL_CTX_new(TLS_server_method())};
  EXPECT_EQ(SSL_CTX_use_certificate(context.get(), certificate.get()), 1);
  EXPECT_EQ(SSL_CTX_use_PrivateKey(context.get(), key.get()), 1);
  return context;
}

/// The same, loaded as a server does.
inline std::shared_ptr<const TlsContext> loaded_context() {
  const Context context = server_context();
  const int memory = ::memfd_create("certificate and key", MFD_CLOEXEC);
  const std::string file = "/proc/self/fd/" + std::to_string(memory);
  std::unique_ptr<BIO, Free<BIO_free>> pem{BIO_new_file(file.c_str(), "w")};
  EXPECT_EQ(PEM_write_bio_X509(pem.get(), SSL_CTX_get0_certificate(context.get())), 1);
  EXPECT_EQ(PEM_write_bio_PrivateKey(pem.get(), SSL_CTX_get0_privatekey(context.get()), nullptr,
                                     nullptr, 0, nullptr, nullptr),
            1);
  pem.reset();
  auto loaded = std::make_shared<TlsContext>(TlsContext::Files{file, file, ""});
  EXPECT_FALSE(loaded->load());
  ::close(memory);
  return loaded;
}

/// A channel and its client, the two ends of one connection, on one thread.
class TlsFixture : public testing::Test {
 protected:
  void SetUp() override {
    ASSERT_EQ(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, descriptors_.data()), 0);
    TlsChannel::Ssl accepting{SSL_new(server_context_.get())};
    ASSERT_EQ(SSL_set_fd(accepting.get(), descriptors_[0]), 1);
    SSL_set_accept_state(accepting.get());
    channel_ = std::make_unique<TlsChannel>(std::move(accepting));
    client_.reset(SSL_new(client_context_.get()));
    ASSERT_EQ(SSL_set_fd(client_.get(), descriptors_[1]), 1);
    SSL_set_connect_state(client_.get());
    for (int round = 0; round < 10 && SSL_do_handshake(client_.get()) != 1; ++round) read();
    ASSERT_TRUE(SSL_is_init_finished(client_.get()));
    while (read(), error_ != net::error::would_block) ASSERT_FALSE(error_) << channel_->fault();
  }

  void TearDown() override {
    client_.reset();
    channel_.reset();
    for (const int descriptor : descriptors_) ::close(descriptor);
  }

  std::string read() {
    std::array<char, 1024> buffer;
    return {buffer.data(), channel_->read_some(net::buffer(buffer), error_)};
  }

  Context server_context_ = server_context();
  Context client_context_{SSL_CTX_new(TLS_client_method())};
  std::array<int, 2> descriptors_{-1, -1};
  std::unique_ptr<TlsChannel> channel_;
  std::unique_ptr<SSL, Free<SSL_free>> client_;
  boost::system::error_code error_;
};

}  // namespace locker::server
