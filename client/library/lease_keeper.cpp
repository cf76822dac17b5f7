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

/// How long something may take that is begun now, so that its end can still be told in time.
BootClock::duration LeaseKeeper::spare() const {
  return std::min<BootClock::duration>(pause(), (ends_at() - BootClock::now()) / 4);
}

/// The timeouts of a call stand still while the machine is suspended; the deadline does not.
net::awaitable<Result<Renewal>> LeaseKeeper::async_renew() {
  // A connection that is kept can be dead, and nobody says so: there must be time for another one.
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

/// What the lease holds, or none when it does not say all of it.
net::awaitable<std::optional<LeaseKeeper::Locks>> LeaseKeeper::async_look() {
  Locks held;
  std::string after;
  do {
    // There can be a hundred pages. What ends the lease meanwhile is told by the next renewal.
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

/// Whether the lease has the locks that were looked at: each that is lost makes them fewer, and
/// each that joins has the highest fence. An older server says only how many they are.
bool LeaseKeeper::is_as_seen(const Renewal& renewed) const {
  if (!renewed.newest_fence && renewed.locks != paths_.size()) return false;
  return seen_ && seen_->locks == renewed.locks && seen_->newest_fence == renewed.newest_fence;
}

/// Whether our lock was lost, and this is another grant to the same lease: a later one, or an
/// earlier one, when the server has begun from a backup. A change of the mode, by somebody else who
/// has the token, raises the fence, too, and is no loss: then one of the two is shared.
bool LeaseKeeper::is_another(const LeasePage::Held& held) const {
  if (fence_ == 0 || held.fence == fence_) return false;
  return held.fence < fence_ || (!shared_ && !held.shared);
}

/// A lease lives on when an administrator ends one of its locks.
net::awaitable<std::optional<Failure>> LeaseKeeper::async_look_for_loss(const Renewal& renewed) {
  if (paths_.empty() || is_as_seen(renewed)) co_return std::nullopt;
  const auto held = co_await async_look();
  if (!held) co_return std::nullopt;  // the next renewal looks again
  for (std::size_t i = 0; i < paths_.size();) {
    const auto found = held->find(paths_[i]);
    if (found != held->end() && is_another(found->second)) {
      co_return Failure{Failure::Kind::lost, 0, "lease_ended",
                        paths_[i] + " was lost in between: its lease has it by another grant."};
    }
    if (found != held->end()) {
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
  seen_ = renewed;
  co_return std::nullopt;
}

net::awaitable<std::optional<Failure>> LeaseKeeper::async_run() {
  Failure trouble;
  auto next = sent_ + interval();
  while (!is_stopped_) {
    co_await async_sleep_until(next);
    if (is_stopped_) break;
    // After a longer sleep than that, as of a suspended machine, there is time for one try.
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
