#include "client/library/lease_keeper.hpp"

#include <algorithm>
#include <utility>

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/use_awaitable.hpp>

namespace locker::client {
namespace {

// A lease without a TTL needs no renewal, but an administrator may have ended it.
constexpr milliseconds interval_without_ttl{10'000};
constexpr milliseconds pause_max{1'000};  // between two attempts

}  // namespace

LeaseKeeper::LeaseKeeper(net::io_context& io_context, ServerAddress address, const Grant& grant,
                         std::function<void()> on_renewed)
    : client_(io_context, std::move(address)),
      timer_(io_context),
      deadline_(io_context),
      token_(grant.token),
      paths_(grant.paths),
      fence_(grant.fence),
      shared_(grant.shared),
      on_renewed_(std::move(on_renewed)),
      ttl_(grant.ttl),
      sent_(grant.sent) {}

milliseconds LeaseKeeper::interval() const { return ttl_ ? *ttl_ / 3 : interval_without_ttl; }

milliseconds LeaseKeeper::pause() const { return std::min(pause_max, interval() / 10); }

BootClock::time_point LeaseKeeper::ends_at() const {
  return ttl_ ? sent_ + *ttl_ : BootClock::time_point::max();
}

BootClock::time_point LeaseKeeper::warns_at() const {
  return ttl_ && is_to_warn_ ? sent_ + *ttl_ * 2 / 3 : ends_at();
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

/// The longest that a step which begins now may take so that its end is still reported in time.
BootClock::duration LeaseKeeper::spare() const {
  return std::min<BootClock::duration>(pause(), (ends_at() - BootClock::now()) / 4);
}

/// A call's timeouts stand still while the machine is suspended; the deadline does not.
net::awaitable<Result<Renewal>> LeaseKeeper::async_renew() {
  // A kept connection can be dead without notice: leave time for another one.
  milliseconds timeout = client_.is_open() ? interval() / 2 : interval();
  if (ttl_) {
    const auto now = BootClock::now();
    const auto most = std::max(warns_at() - now, spare());
    timeout = std::min(timeout, std::chrono::ceil<milliseconds>(most));
    deadline_.expires_at(now + most + spare());
    deadline_.async_wait([this](const boost::system::error_code& cancelled) {
      if (!cancelled) client_.close();
    });
  }
  const Call call = renew_call(token_);
  const Result<Reply> answered = co_await client_.async_call(call, timeout);
  deadline_.cancel();
  Result<Renewal> renewed = answered ? parse_renewal(*answered) : answered.error();
  if (!renewed || is_stopped_) co_return renewed;
  sent_ = answered->sent;
  if (renewed->ttl) ttl_ = renewed->ttl;
  if (on_renewed_) on_renewed_();
  co_return renewed;
}

/// The locks that the lease holds; none if they could not all be read.
net::awaitable<std::optional<LeaseKeeper::Locks>> LeaseKeeper::async_look() {
  Locks held;
  std::string after;
  do {
    // There can be a hundred pages, so renew in between. If that fails, the next renewal of
    // async_run() reports why.
    if (BootClock::now() >= sent_ + interval() && !co_await async_renew()) co_return std::nullopt;
    if (is_stopped_) co_return std::nullopt;
    const Call call = lease_call(token_, after);
    const Result<Reply> looked = co_await client_.async_call(call, interval() / 2);
    Result<LeasePage> page = looked ? parse_lease(*looked) : looked.error();
    if (!page || is_stopped_) co_return std::nullopt;
    held.merge(page->locks);
    after = page->next;
  } while (!after.empty());
  co_return held;
}

/// Whether the lease still has the locks that were read last: a lost one lowers the count, and one
/// that joins has the highest fence. An older server reports only the count.
bool LeaseKeeper::is_as_seen(const Renewal& renewed) const {
  if (!renewed.newest_fence && renewed.locks != paths_.size()) return false;
  return seen_ && seen_->locks == renewed.locks && seen_->newest_fence == renewed.newest_fence;
}

/// Whether our lock was lost, and this is another grant to the same lease: a later one, or an
/// earlier one if the server was restored from a backup. A change of mode by another user of the
/// token also raises the fence but is no loss; then one of the two modes is shared.
bool LeaseKeeper::is_another(const LeasePage::Held& held) const {
  if (fence_ == 0 || held.fence == fence_) return false;
  return held.fence < fence_ || (!shared_ && !held.shared);
}

/// Looks for a lock that the lease has lost: it lives on when an administrator ends one of them.
net::awaitable<std::optional<Failure>> LeaseKeeper::async_look_for_loss(const Renewal& renewed) {
  if (paths_.empty() || is_as_seen(renewed)) co_return std::nullopt;
  const auto held = co_await async_look();
  if (!held) co_return std::nullopt;  // the next renewal looks again
  for (std::size_t i = 0; i < paths_.size();) {
    const auto found = held->find(paths_[i]);
    if (found != held->end() && is_another(found->second)) {
      co_return Failure{Failure::Kind::lost, 0, "lease_ended",
                        paths_[i] + " was lost in the meantime: its lease has acquired it again."};
    }
    if (found != held->end()) {
      ++i;
      continue;
    }
    // The lease does not have it, so this releases nothing; the answer says what became of it.
    const Result<Reply> asked =
        co_await client_.async_call(release_call(token_, paths_[i]), interval() / 2);
    if (!asked) co_return std::nullopt;
    if (asked->status != 200) {
      Failure loss = asked->failure();
      loss.kind = Failure::Kind::lost;
      co_return loss;
    }
    paths_.erase(paths_.begin() +
                 static_cast<std::ptrdiff_t>(i));  // another user of the token released it
  }
  seen_ = renewed;
  co_return std::nullopt;
}

net::awaitable<std::optional<Failure>> LeaseKeeper::async_run() {
  Failure trouble;
  auto next = sent_ + interval();
  while (!is_stopped_) {
    co_await async_sleep_until(next);
    if (is_stopped_) break;
    // After a sleep beyond warns_at(), such as a suspend, there is time for one attempt.
    const bool has_tried = !trouble.message.empty();
    if (BootClock::now() >= (has_tried ? warns_at() : ends_at())) {
      trouble.kind = Failure::Kind::unreachable;
      if (!has_tried) trouble.message = "It was not renewed in time.";
      co_return trouble;
    }
    const Result<Renewal> renewed = co_await async_renew();
    if (is_stopped_) break;
    if (renewed) {
      trouble = {};
      auto loss = co_await async_look_for_loss(*renewed);
      if (loss) co_return loss;
      next = sent_ + interval();
      continue;
    }
    trouble = renewed.error();
    if (trouble.kind == Failure::Kind::lost) co_return trouble;
    next = std::min(BootClock::now() + pause(), warns_at());
  }
  co_return std::nullopt;
}

}  // namespace locker::client
