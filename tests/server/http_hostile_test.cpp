// Clients that do anything at any moment, where every time is a few milliseconds.
#include <openssl/ssl.h>

#include <csignal>
#include <random>
#include <vector>

#include "tests/server/later_fixture.hpp"
#include "tests/server/tls_fixture.hpp"

namespace locker::server {
namespace {

/// Speaks with or without TLS, whole or in pieces, and may go silent in the middle of all of it.
class HostileClient {
 public:
  HostileClient(std::uint16_t port, SSL_CTX* context) : raw_(port), ssl_(SSL_new(context)) {
    SSL_set_bio(ssl_.get(), BIO_new(BIO_s_mem()), BIO_new(BIO_s_mem()));
    SSL_set_connect_state(ssl_.get());
  }

  void say(std::string_view text) { unsent_ += text; }
  /// Begins with a handshake.
  void say_by_tls(std::string_view text) {
    SSL_write(ssl_.get(), text.data(), static_cast<int>(text.size()));
    std::array<char, 4096> bytes;
    int size = 0;
    while ((size = BIO_read(SSL_get_wbio(ssl_.get()), bytes.data(), bytes.size())) > 0) {
      unsent_.append(bytes.data(), static_cast<std::size_t>(size));
    }
  }
  void send(std::size_t size_max) {
    unsent_.erase(0, raw_.send_some(std::string_view{unsent_}.substr(0, size_max)));
  }
  /// A little of what is there.
  void receive() {
    for (int i = 0; i < 4096 && raw_.has_something(); ++i) {
      const std::string byte = raw_.read(1);
      if (byte.empty()) return;
      BIO_write(SSL_get_rbio(ssl_.get()), byte.data(), 1);
    }
  }
  void shut_down_sending() { raw_.shut_down_sending(); }
  void reset() { raw_.reset(); }

 private:
  RawClient raw_;
  std::unique_ptr<SSL, Free<SSL_free>> ssl_;
  std::string unsent_;
};

/// With and without TLS.
class HttpHostileTest : public LaterTest, public testing::WithParamInterface<bool> {
 protected:
  static constexpr int crowd = 12;

  HttpHostileTest() {
    std::signal(SIGPIPE, SIG_IGN);
    if (GetParam()) options_.tls = loaded_context();
    options_.connections_max = crowd / 3;
    HttpLimits& limits = options_.limits;
    limits.heard_max = crowd / 3;
    limits.tick = std::chrono::milliseconds{1};
    limits.first_byte = limits.header = limits.body = limits.idle = limits.linger =
        limits.over_limit = limits.write_progress = limits.stream_silence = limits.makes_way =
            std::chrono::milliseconds{5};
  }

  int at_random(int count) { return std::uniform_int_distribution{0, count - 1}(random_); }

  std::string request() {
    static constexpr const char* targets[] = {"/",       "/healthz", "/metrics", "/write",
                                              "/pend",   "/instant", "/throws",  "/big",
                                              "/stream", "/endless"};
    return get(targets[at_random(std::size(targets))],
               at_random(4) == 0 ? "Content-Length: 10\r\n" : "");
  }

  void act(std::unique_ptr<HostileClient>& client) {
    if (!client || at_random(8) == 0) {
      client = std::make_unique<HostileClient>(port(), client_context_.get());
      return;
    }
    switch (at_random(8)) {
      case 0:
        return client->say(request());
      case 1:
      case 2:
        return client->say_by_tls(request());
      case 3:
        return client->send(static_cast<std::size_t>(at_random(300)));
      case 4:
        return client->send(std::string::npos);
      case 5:
      case 6:
        return client->receive();
      default:
        if (at_random(4) != 0) return;
        at_random(2) == 0 ? client->shut_down_sending() : client->reset();
    }
  }

  Context client_context_{SSL_CTX_new(TLS_client_method())};
  std::mt19937 random_{1};
};

TEST_P(HttpHostileTest, WhateverClientsDoTheNextOneIsServed) {
  start();
  std::vector<std::unique_ptr<HostileClient>> clients(crowd);
  for (int i = 0; i < 5'000; ++i) {
    act(clients[static_cast<std::size_t>(at_random(crowd))]);
    if (at_random(4) == 0) std::this_thread::sleep_for(std::chrono::milliseconds{at_random(4)});
  }
  clients.clear();
  EXPECT_TRUE(eventually([&] { return server_->connections() == 0 && server_->buffered() == 0; }));
  EXPECT_TRUE(eventually([&] {
    const auto answer = client().ask(get("/"));
    return answer && answer->status == (GetParam() ? 400 : 200);
  }));
}

INSTANTIATE_TEST_SUITE_P(Plain, HttpHostileTest, testing::Values(false));
INSTANTIATE_TEST_SUITE_P(Tls, HttpHostileTest, testing::Values(true));

}  // namespace
}  // namespace locker::server
