#include "client/library/lease_keeper.hpp"

#include <algorithm>
#include <set>
#include <utility>

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/json/array.hpp>

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
      paths_(grant.paths),
      locks_(grant.paths.size()),
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
  // A connection that is kept can be dead, and nobody says so: there must be time for another one.
  milliseconds timeout = client_.is_open() ? interval() / 2 : interval();
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

/// A lease lives on when an administrator ends one of its locks; with `locks` of them it has more
/// or fewer than before.
net::awaitable<std::optional<Failure>> LeaseKeeper::async_look_for_loss(std::size_t locks) {
  if (paths_.empty() || locks == locks_) co_return std::nullopt;
  const Result<Reply> looked = co_await client_.async_call(lease_call(token_), interval() / 2);
  if (!looked || looked->status != 200) co_return std::nullopt;  // the next renewal looks again
  const boost::json::object lease = looked->json();
  const auto* const list = lease.if_contains("locks");
  const auto* const more = lease.if_contains("next");
  const bool is_whole = list != nullptr && list->is_array() && more != nullptr && more->is_null();
  if (!is_whole) co_return std::nullopt;  // what is not in it may be held all the same
  std::set<std::string> held;
  for (const auto& lock : list->get_array()) {
    const auto* const path = lock.is_object() ? lock.get_object().if_contains("path") : nullptr;
    if (path == nullptr || !path->is_string()) co_return std::nullopt;
    held.emplace(path->get_string());
  }
  for (std::size_t i = 0; i < paths_.size();) {
    if (held.contains(paths_[i])) {
      ++i;
      continue;
    }
    // The server says what became of it; there is nothing that this could release.
    const Result<Reply> asked =
        co_await client_.async_call(release_call(token_, paths_[i]), interval() / 2);
    if (!asked) co_return std::nullopt;
    if (asked->status != 200) {
      Failure loss = asked->failure();
      loss.kind = Failure::Kind::lost;
      co_return loss;
    }
    paths_.erase(paths_.begin() + static_cast<std::ptrdiff_t>(i));  // who has the token released it
  }
  locks_ = locks;
  co_return std::nullopt;
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
    const Result<Renewal> renewed = answered ? parse_renewal(*answered) : answered.error();
    if (renewed) {
      sent_ = answered->sent;
      if (renewed->ttl) ttl_ = renewed->ttl;
      next = sent_ + interval();
      if (on_renewed_) on_renewed_();
      auto loss = co_await async_look_for_loss(renewed->locks);
      if (loss) co_return loss;
      continue;
    }
    trouble = renewed.error();
    if (trouble.kind == Failure::Kind::lost) co_return trouble;
    next = std::min(BootClock::now() + pause(), warns_at());
  }
  co_return std::nullopt;
}

}  // namespace locker::client
