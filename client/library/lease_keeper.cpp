#include "client/library/lease_keeper.hpp"

#include <algorithm>
#include <utility>

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/use_awaitable.hpp>

namespace locker::client {
namespace {

// Without a TTL nothing has to be renewed; but an administrator may have ended it.
constexpr milliseconds interval_without_ttl{10'000};
constexpr milliseconds pause_max{1'000};  // between two tries

}  // namespace

LeaseKeeper::LeaseKeeper(net::io_context& io_context, ServerAddress address, const Grant& grant,
                         std::function<void()> on_renewed)
    : client_(io_context, std::move(address)),
      timer_(io_context),
      deadline_(io_context),
      token_(grant.token),
      on_renewed_(std::move(on_renewed)),
      ttl_(grant.ttl),
      sent_(grant.sent) {}

milliseconds LeaseKeeper::interval() const { return ttl_ ? *ttl_ / 3 : interval_without_ttl; }

milliseconds LeaseKeeper::pause() const { return std::min(pause_max, interval() / 10); }

BootClock::time_point LeaseKeeper::ends_at() const {
  return ttl_ ? sent_ + *ttl_ : BootClock::time_point::max();
}

BootClock::time_point LeaseKeeper::warns_at() const {
  return ttl_ ? sent_ + *ttl_ * 2 / 3 : BootClock::time_point::max();
}

void LeaseKeeper::stop() {
  is_stopped_ = true;
  timer_.cancel();
  client_.close();
}

void LeaseKeeper::hurry() {
  is_hurried_ = true;
  timer_.cancel();
}

net::awaitable<void> LeaseKeeper::async_sleep_until(BootClock::time_point when) {
  if (std::exchange(is_hurried_, false) || is_stopped_) co_return;
  timer_.expires_at(when);
  auto [cancelled] = co_await timer_.async_wait(net::as_tuple(net::use_awaitable));
  static_cast<void>(cancelled);
  is_hurried_ = false;
}

/// The timeouts of a call stand still while the machine is suspended; the deadline does not.
net::awaitable<Result<Reply>> LeaseKeeper::async_renew(const Call& call) {
  milliseconds timeout = interval();
  if (ttl_) {
    timeout = std::min(timeout, std::chrono::ceil<milliseconds>(warns_at() - BootClock::now()));
    deadline_.expires_at(warns_at() + pause());
    deadline_.async_wait([this](const boost::system::error_code& cancelled) {
      if (!cancelled) client_.close();
    });
  }
  Result<Reply> answered = co_await client_.async_call(call, timeout);
  deadline_.cancel();
  co_return answered;
}

net::awaitable<std::optional<Failure>> LeaseKeeper::async_run() {
  const Call call = renew_call(token_);
  Failure trouble;
  auto next = sent_ + interval();
  while (!is_stopped_) {
    co_await async_sleep_until(next);
    if (is_stopped_) break;
    if (BootClock::now() >= warns_at()) {
      trouble.kind = Failure::Kind::unreachable;
      if (trouble.message.empty()) trouble.message = "It was not renewed in time.";
      co_return trouble;
    }
    Result<Reply> answered = co_await async_renew(call);
    if (is_stopped_) break;
    if (answered && answered->status == 200) {
      sent_ = answered->sent;
      const boost::json::object renewed = answered->json();
      if (const auto* const ttl = renewed.if_contains("ttl_ms"); ttl && ttl->is_number()) {
        ttl_ = milliseconds{ttl->to_number<std::int64_t>()};
      }
      next = sent_ + interval();
      if (on_renewed_) on_renewed_();
      continue;
    }
    trouble = answered ? answered->failure() : answered.error();
    if (trouble.kind == Failure::Kind::lost) co_return trouble;
    next = std::min(BootClock::now() + pause(), warns_at());
  }
  co_return std::nullopt;
}

}  // namespace locker::client
