#pragma once

#include <memory>

#include "server/request_handler.hpp"
#include "server/service/lock_service.hpp"

namespace locker::server {

/// Takes back a lease unless the answer with its token is delivered: without the answer the client
/// does not know the token.
class TakeBack final : public Delivery {
 public:
  TakeBack(LockService& service, const core::Token& token) : service_(service), token_(token) {}
  ~TakeBack() override {
    if (!is_delivered_) service_.take_back(token_);
  }
  TakeBack(const TakeBack&) = delete;
  TakeBack& operator=(const TakeBack&) = delete;
  void delivered() override { is_delivered_ = true; }

 private:
  LockService& service_;
  const core::Token token_;
  bool is_delivered_ = false;
};

/// Returns the guard of a lease. If there is no memory for the guard, takes the lease back
/// immediately and rethrows.
[[nodiscard]] inline std::unique_ptr<TakeBack> take_back_unless_delivered(
    LockService& service, const core::Token& token) try {
  return std::make_unique<TakeBack>(service, token);
} catch (...) {
  service.take_back(token);
  throw;
}

}  // namespace locker::server
