#pragma once

#include <gtest/gtest.h>

#include <atomic>
#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <stdexcept>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include "server/http/http_server.hpp"
#include "tests/support/gated_journal.hpp"
#include "tests/support/raw_client.hpp"

namespace locker::server {

using test::Answer;
using test::get;
using test::RawClient;

/// Echoes the request: "GET /path body". Some paths do more: /write adds a record and answers with
/// its index, /big/N answers N bytes, /throw throws, /bodiless needs no body, POST /large may have
/// a large one, and /healthz is answered beyond the connection limit.
class EchoHandler final : public RequestHandler {
 public:
  explicit EchoHandler(GroupCommit& commit) : commit_(commit) {}

  [[nodiscard]] Treatment treatment_of(Method method, const RequestTarget& target) const override {
    return {.has_large_body = method == Method::post && target.path == "/large",
            .is_probe = target.path == "/healthz"};
  }

  void answer(const Request& request, Response& response) override {
    const std::string_view target = request.target.text;
    calls.fetch_add(1);
    if (target.starts_with("/throw")) {
      response.body = "half an answer";
      throw std::runtime_error{"the handler threw"};
    }
    if (target.starts_with("/big/")) {
      response.body.assign(std::stoul(std::string{target.substr(5)}), 'x');
      return;
    }
    if (target == "/write") {
      const std::lock_guard lock{commit_.mutex()};
      response.index = commit_.add(core::Ended{{}, {1, 0}, core::End::released});
      response.body = std::to_string(response.index);
      return;
    }
    if (target == "/allow") {
      response.status = 405;
      response.allow = "GET, HEAD";
    }
    if (target == "/missing") response.status = 404;
    if (target == "/later") {
      response.status = 503;
      response.retry_after = true;
    }
    response.body = request.method_name;
    response.body += ' ';
    response.body += target;
    response.body += ' ';
    response.body += request.body;
  }

  bool answer_early(const Request& request, Response& response) override {
    if (request.target.path != "/bodiless") return false;
    answer(request, response);
    return true;
  }

  std::atomic<std::uint64_t> calls = 0;

 private:
  GroupCommit& commit_;
};

/// A server in this process. Change limits and options, then call start().
class HttpTest : public testing::Test {
 protected:
  HttpTest() {
    options_.threads = 1;
    options_.hooks.on_error = [this](std::string_view what) {
      const std::lock_guard lock{errors_mutex_};
      errors_.emplace_back(what);
    };
  }
  ~HttpTest() override { journal_.open_gate(); }

  void start() { start(handler_); }
  void start(RequestHandler& handler) {
    server_ = std::make_unique<HttpServer>(handler, commit_, options_);
    const tcp::endpoint any_port{net::ip::address_v4::loopback(), 0};
    ASSERT_FALSE(server_->start(any_port));
  }
  [[nodiscard]] std::uint16_t port() const { return server_->endpoint().port(); }
  [[nodiscard]] RawClient client() const { return RawClient{port()}; }

  /// Waits for a condition to become true; returns false after a minute.
  static bool eventually(const std::function<bool()>& condition) {
    const auto late = std::chrono::steady_clock::now() + std::chrono::minutes{1};
    while (std::chrono::steady_clock::now() < late) {
      if (condition()) return true;
      std::this_thread::sleep_for(std::chrono::milliseconds{2});
    }
    return false;
  }
  std::vector<std::string> errors() {
    const std::lock_guard lock{errors_mutex_};
    return errors_;
  }

  test::GatedJournal journal_;
  GroupCommit commit_{journal_, 0, [](const core::Fault&) {}};
  EchoHandler handler_{commit_};
  HttpServer::Options options_;
  std::mutex errors_mutex_;
  std::vector<std::string> errors_;
  std::unique_ptr<HttpServer> server_;
};

}  // namespace locker::server
