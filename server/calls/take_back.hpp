#pragma once

#include "server/lock_service.hpp"
#include "server/request_handler.hpp"

namespace locker::server {

/// Takes back the lease that a client could not be told of and knows no token for.
class TakeBack final : public Delivery {
 public:
  TakeBack(LockService& service, const core::Token& token) : service_(service), token_(token) {}
  void lost() override { service_.take_back(token_); }

 private:
  LockService& service_;
  const core::Token token_;
};

}  // namespace locker::server
