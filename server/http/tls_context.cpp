#include "server/http/tls_context.hpp"

#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <ctime>
#include <new>
#include <string_view>
#include <utility>

namespace locker::server {
namespace {

using core::Fault;

constexpr int security_level = 2;  // no keys and hashes below 112 bits
constexpr unsigned char http_1_1[] = {8, 'h', 't', 't', 'p', '/', '1', '.', '1'};

std::string reason() {
  const char* const text = ERR_reason_error_string(ERR_peek_last_error());
  return text != nullptr ? text : "unknown error";
}

/// Returns why the file cannot be read at all; nullopt if it can.
std::optional<Fault> check_readable(const char* what, const std::string& path) {
  std::FILE* const file = std::fopen(path.c_str(), "re");
  if (file == nullptr) {
    return Fault{std::string{what} + " " + path + " cannot be read: " + std::strerror(errno) + "."};
  }
  std::fclose(file);
  return std::nullopt;
}

int no_passphrase(char*, int, int, void*) { return -1; }  // the default asks on the terminal

int choose_protocol(SSL*, const unsigned char** chosen, unsigned char* chosen_size,
                    const unsigned char* offered, unsigned int offered_size, void*) {
  unsigned char* found = nullptr;
  const int outcome =
      SSL_select_next_proto(&found, chosen_size, http_1_1, sizeof http_1_1, offered, offered_size);
  *chosen = found;
  return outcome == OPENSSL_NPN_NEGOTIATED ? SSL_TLSEXT_ERR_OK : SSL_TLSEXT_ERR_ALERT_FATAL;
}

std::optional<Fault> read_certificate(SSL_CTX* context, const TlsContext::Files& files) {
  if (auto fault = check_readable("The TLS certificate", files.certificate)) return fault;
  if (SSL_CTX_use_certificate_chain_file(context, files.certificate.c_str()) != 1) {
    return Fault{files.certificate + " has no usable TLS certificate (" + reason() +
                 "); it must be PEM, the server's own certificate first."};
  }
  if (auto fault = check_readable("The TLS key", files.key)) return fault;
  if (SSL_CTX_use_PrivateKey_file(context, files.key.c_str(), SSL_FILETYPE_PEM) != 1) {
    const bool is_other = ERR_GET_REASON(ERR_peek_last_error()) == X509_R_KEY_VALUES_MISMATCH;
    return Fault{is_other ? "The TLS key " + files.key + " does not belong to the certificate " +
                                files.certificate + "."
                          : files.key + " has no usable TLS key (" + reason() +
                                "); it must be PEM, without a passphrase."};
  }
  if (SSL_CTX_check_private_key(context) == 1) return std::nullopt;
  return Fault{"The TLS key " + files.key + " does not belong to the certificate " +
               files.certificate + "."};
}

std::optional<Fault> require_client_certificates(SSL_CTX* context, const std::string& path) {
  if (auto fault = check_readable("The clients' CA", path)) return fault;
  STACK_OF(X509_NAME)* const names = SSL_load_client_CA_file(path.c_str());
  if (names == nullptr || SSL_CTX_load_verify_locations(context, path.c_str(), nullptr) != 1) {
    sk_X509_NAME_pop_free(names, X509_NAME_free);
    return Fault{path + " has no usable CA certificate (" + reason() + "); it must be PEM."};
  }
  SSL_CTX_set_client_CA_list(context, names);
  SSL_CTX_set_verify(context, SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT, nullptr);
  return std::nullopt;
}

/// Sets minimums; stricter settings in the machine's openssl.cnf stay.
void require_strength(SSL_CTX* context) {
  if (SSL_CTX_get_min_proto_version(context) < TLS1_2_VERSION) {
    SSL_CTX_set_min_proto_version(context, TLS1_2_VERSION);
  }
  if (SSL_CTX_get_security_level(context) < security_level) {
    SSL_CTX_set_security_level(context, security_level);
  }
}

void choose_manners(SSL_CTX* context) {
  SSL_CTX_set_options(context, SSL_OP_NO_COMPRESSION | SSL_OP_NO_RENEGOTIATION |
                                   SSL_OP_IGNORE_UNEXPECTED_EOF);  // HTTP says where it ends
  SSL_CTX_set_mode(context, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER |
                                SSL_MODE_RELEASE_BUFFERS);  // an idle connection keeps none
  SSL_CTX_set_read_ahead(context, 1);                       // one read for a record, not two
  SSL_CTX_set_alpn_select_cb(context, choose_protocol, nullptr);
  SSL_CTX_set_default_passwd_cb(context, no_passphrase);
  // Without this a client that has a certificate could not resume a session.
  static constexpr std::string_view name = "lockerd";
  SSL_CTX_set_session_id_context(context, reinterpret_cast<const unsigned char*>(name.data()),
                                 name.size());
}

std::chrono::system_clock::time_point expiry_of(SSL_CTX* context) {
  std::tm broken_down{};
  if (ASN1_TIME_to_tm(X509_get0_notAfter(SSL_CTX_get0_certificate(context)), &broken_down) != 1) {
    return std::chrono::system_clock::time_point::max();
  }
  return std::chrono::system_clock::from_time_t(::timegm(&broken_down));
}

std::optional<Fault> read_files(const TlsContext::Files& files, std::shared_ptr<SSL_CTX>& context) {
  ERR_clear_error();
  context.reset(SSL_CTX_new(TLS_server_method()), SSL_CTX_free);
  if (!context) return Fault{"OpenSSL cannot create a TLS context: " + reason() + "."};
  require_strength(context.get());
  choose_manners(context.get());
  if (auto fault = read_certificate(context.get(), files)) return fault;
  if (files.client_ca.empty()) return std::nullopt;
  return require_client_certificates(context.get(), files.client_ca);
}

}  // namespace

std::optional<Fault> TlsContext::load() {
  std::shared_ptr<SSL_CTX> fresh;
  auto fault = read_files(files_, fresh);
  const std::lock_guard lock{mutex_};
  is_current_ = !fault;
  if (fault) return fault;
  current_ = std::move(fresh);
  expires_at_ = expiry_of(current_.get());
  return std::nullopt;
}

bool TlsContext::is_current() const {
  const std::lock_guard lock{mutex_};
  return is_current_;
}

std::chrono::system_clock::time_point TlsContext::expires_at() const {
  const std::lock_guard lock{mutex_};
  return expires_at_;
}

std::unique_ptr<TlsChannel> TlsContext::accept(int descriptor) const {
  std::unique_lock lock{mutex_};
  const std::shared_ptr<SSL_CTX> context = current_;
  lock.unlock();
  TlsChannel::Ssl ssl{SSL_new(context.get())};
  if (!ssl || SSL_set_fd(ssl.get(), descriptor) != 1) throw std::bad_alloc{};
  SSL_set_accept_state(ssl.get());
  return std::make_unique<TlsChannel>(std::move(ssl));
}

}  // namespace locker::server
