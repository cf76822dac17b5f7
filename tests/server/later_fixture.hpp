#pragma once

#include "tests/server/http_fixture.hpp"
#include "tests/server/later_handler.hpp"

namespace locker::server {

/// A server with deferred answers.
class LaterTest : public HttpTest {
 protected:
  LaterTest() { options_.limits.tick = std::chrono::milliseconds{10}; }
  ~LaterTest() override {
    journal_.open_gate();
    server_.reset();  // before the handler
  }
  void start() { HttpTest::start(later_); }

  LaterHandler later_{commit_};
};

}  // namespace locker::server
