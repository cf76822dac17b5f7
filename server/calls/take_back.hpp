#pragma once

#include <memory>

#include "server/request_handler.hpp"
#include "server/service/lock_service.hpp"

namespace locker::server {

/// Takes back the lease that a client could not be told of and knows no token for.
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

/// At once where there is no memory to wait for the delivery.
[[nodiscard]] inline std::unique_ptr<TakeBack> take_back_unless_delivered(
    LockService& service, const core::Token& token) try {
  return std::make_unique<TakeBack>(service, token);
} catch (...) {
  service.take_back(token);
  throw;
}

}  // namespace locker::server
