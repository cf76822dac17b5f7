#include "client/library/acquisition.hpp"

#include <algorithm>
#include <random>
#include <utility>

#include <boost/asio/this_coro.hpp>
#include <boost/asio/use_awaitable.hpp>

namespace locker::client {
namespace {

// Many proxies cut a request that is silent for 30 s, so a long wait consists of pieces. The server
// keeps the place in between.
constexpr milliseconds piece_max{20'000};

/// A request that is cut after this time may have been cut for its length, by a proxy.
constexpr milliseconds cut_min{1'000};

/// A server that is silent for this time has queued a waiting request.
constexpr milliseconds silent_min{250};

/// Timeout of each step while somebody waits for us to end.
constexpr milliseconds hurry{2'000};

/// Whether a retry cannot help.
bool is_final(const Failure& failure) {
  return failure.kind == Failure::Kind::refused || failure.code == "untrusted";
}

/// Exponential back-off, with jitter so that clients do not retry in step.
milliseconds pause_before(unsigned attempt) {
  static thread_local std::minstd_rand random{std::random_device{}()};
  const int longest = std::min(50 << std::min(attempt, 5U), 1'000);
  return milliseconds{std::uniform_int_distribution<int>{longest / 2, longest}(random)};
}

net::awaitable<void> async_pause(milliseconds time) {
  net::steady_timer timer{co_await net::this_coro::executor, time};
  co_await timer.async_wait(net::use_awaitable);
}

}  // namespace

Acquisition::Acquisition(HttpClient& client, Wanted wanted, Options options)
    : client_(client),
      wanted_(std::move(wanted)),
      options_(std::move(options)),
      token_(options_.token.empty() ? fresh_token() : options_.token) {}

milliseconds Acquisition::piece() const {
  const auto left = std::chrono::ceil<milliseconds>(until_ - SteadyClock::now());
  return std::clamp(left, milliseconds{0}, piece_max);
}

/// The request with the rest of the wait.
Call Acquisition::next_call() {
  const milliseconds wait = piece();
  has_waited_ = has_waited_ || wait.count() > 0;
  return acquire_call(wanted_, token_, wait);
}

/// Whether the lock was granted but expired before the answer arrived: ask afresh.
bool Acquisition::has_expired(const Failure& failure) const {
  const auto* const reason = failure.answer.if_contains("reason");
  const bool is_forced = reason != nullptr && *reason == "forced";  // somebody intended that
  return failure.kind == Failure::Kind::lost && !is_forced && !joins();
}

net::awaitable<Result<Reply>> Acquisition::async_ask(Call call, bool needs_lease) {
  auto silent_since = SteadyClock::now();
  for (unsigned attempt = 0;; ++attempt) {
    if (is_given_up_) {
      co_return Failure{Failure::Kind::unreachable, 0, "unreachable", "The call was given up."};
    }
    const auto asked = SteadyClock::now();
    is_asking_ = true;
    Result<Reply> answered = co_await client_.async_call(call, options_.timeout);
    is_asking_ = false;
    if (answered && !answered->is_transient()) {
      has_answered_ = true;
      co_return answered;
    }
    const auto now = SteadyClock::now();
    const bool was_cut = answered ? answered->status == 504 : client_.was_cut();
    if (was_cut && now - asked >= cut_min && call.wait.count() > 0) {
      silent_since = now;
      attempt = 0;
    }
    // Another program on that port would answer immediately, or close the connection.
    if (has_waited_ && client_.has_connected() && now - asked >= silent_min) has_answered_ = true;
    Failure failure = answered ? answered->failure() : answered.error();
    if (is_given_up_) co_return failure;
    // A server that was trusted before may be trusted again once its certificate is fixed.
    if (!has_answered_ && !answered && is_final(failure)) co_return failure;
    const milliseconds pause = pause_before(attempt);
    const milliseconds patience = has_answered_ ? options_.patience : options_.first_patience;
    if (now - silent_since + pause > patience) co_return failure;
    if (options_.on_trouble) options_.on_trouble(failure);
    co_await async_pause(pause);
    // The lease may have ended, and a restarted server does not know its waiters.
    if (needs_lease) {
      if (const auto ended = co_await async_renew_lease()) co_return *ended;
    }
    if (call.wait.count() > 0) call = next_call();
  }
}

net::awaitable<Result<Grant>> Acquisition::async_run() {
  if (joins()) {
    const auto ended = co_await async_look_at_lease();
    if (ended) co_return *ended;
  }
  Result<Grant> granted = co_await async_acquire();
  if (!granted) co_await async_leave_line(granted.error());
  co_return granted;
}

net::awaitable<Result<Grant>> Acquisition::async_acquire() {
  const auto is_empty = [](const std::string& path) { return path.empty(); };
  if (std::any_of(wanted_.paths.begin(), wanted_.paths.end(), is_empty)) {
    co_return Failure{Failure::Kind::refused, 400, "bad_request",
                      "A path is empty, perhaps an unset variable; write / for everything."};
  }
  // A wait beyond the range of the clock is for ever.
  const bool has_end = options_.wait && *options_.wait < std::chrono::years{100};
  until_ = has_end ? SteadyClock::now() + *options_.wait : SteadyClock::time_point::max();
  unsigned superseded = 0;
  for (;;) {
    Result<Reply> answered = co_await async_ask(next_call(), joins());
    if (!answered) co_return answered.error();
    Result<Grant> granted = parse_grant(*answered);
    if (granted) granted = co_await async_confirm(std::move(*granted));
    if (granted) co_return granted;
    const Failure& failure = granted.error();
    if (is_given_up_) co_return granted;
    const bool waits_on =
        failure.kind == Failure::Kind::not_acquired && SteadyClock::now() < until_;
    if (waits_on) continue;
    // A late copy of our own request has the place, and nobody awaits its answer: take it back.
    // With a token that we were given it may be another client's, which keeps the place.
    if (failure.code == "superseded" && !joins()) {
      const milliseconds pause = pause_before(superseded++);
      const milliseconds left = piece();
      co_await async_pause(left.count() > 0 ? std::min(pause, left) : pause);
      continue;
    }
    if (!has_expired(failure)) co_return granted;
    token_ = fresh_token();
  }
}

/// Leaves the queue: a copy of the request, made by a proxy, may wait there and be granted later.
net::awaitable<void> Acquisition::async_leave_line(const Failure& failure) {
  const bool may_stay =
      failure.kind != Failure::Kind::unreachable && failure.kind != Failure::Kind::lost;
  if (!may_stay || !has_waited_ || joins() || is_given_up_) co_return;
  const Call leave = release_call(token_);
  const Result<Reply> answered = co_await client_.async_call(leave, hurry);
  static_cast<void>(answered);  // without an answer it ends by its TTL, if granted
}

/// Renews the lease if the answer took long: it is unknown then since when the TTL counts.
net::awaitable<Result<Grant>> Acquisition::async_confirm(Grant grant) {
  if (!grant.ttl || BootClock::now() - grant.sent < *grant.ttl / 10) co_return grant;
  Result<Reply> answered = co_await async_ask(renew_call(grant.token));
  if (!answered) co_return answered.error();
  const Result<Renewal> renewed = parse_renewal(*answered);
  if (!renewed) co_return renewed.error();
  grant.sent = answered->sent;
  co_return grant;
}

/// Checks that the lease lives. If it had ended, the acquire would open one without owner and TTL.
net::awaitable<std::optional<Failure>> Acquisition::async_renew_lease() {
  const Result<Reply> answered = co_await async_ask(renew_call(token_));
  const Result<Renewal> renewed = answered ? parse_renewal(*answered) : answered.error();
  if (!renewed) co_return renewed.error();
  co_return std::nullopt;
}

net::awaitable<std::optional<Failure>> Acquisition::async_look_at_lease() {
  if (const auto ended = co_await async_renew_lease()) co_return *ended;
  const Result<Reply> answered = co_await async_ask(lease_call(token_));
  const Result<LeasePage> page = answered ? parse_lease(*answered) : answered.error();
  if (!page) co_return page.error();
  lease_ = *page;
  co_return std::nullopt;
}

/// Ends the call of async_run() such that the server carries it out before its withdrawal.
net::awaitable<void> Acquisition::async_hang_up() {
  client_.hang_up();
  const auto until = SteadyClock::now() + hurry;
  while (is_asking_ && SteadyClock::now() < until) co_await async_pause(milliseconds{5});
  client_.close();
}

net::awaitable<bool> Acquisition::async_give_up(HttpClient& client) {
  is_given_up_ = true;
  co_await async_hang_up();
  if (joins() && !lease_) co_return true;  // nothing was requested
  // An acquire without a wait takes the request out of the queue; a release alone could come before
  // the grant. The release then gives up the place too, which the server would keep for a while.
  const Call ask = acquire_call(wanted_, token_, milliseconds{0});
  Result<Reply> answered = co_await client.async_call(ask, hurry);
  if (is_away(answered)) co_return false;
  const Result<Grant> granted = parse_grant(*answered);
  if (!granted && joins()) co_return true;
  for (const std::string& path : paths_to_release(granted ? *granted : Grant{}, joins())) {
    // The lease keeps what it had before. Of one with many locks only the first page is known.
    if (joins() && (!lease_->next.empty() || lease_->locks.contains(path))) continue;
    const Call release = release_call(token_, path);
    const Result<Reply> released = co_await client.async_call(release, hurry);
    if (is_away_or_full(released)) co_return false;
  }
  co_return true;
}

}  // namespace locker::client
