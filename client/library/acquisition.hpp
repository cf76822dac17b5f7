#pragma once

#include <functional>
#include <optional>
#include <string>

#include <boost/asio/steady_timer.hpp>

#include "client/library/calls.hpp"

namespace locker::client {

/// One acquire, retried until the server grants or refuses it. The client chooses the token, so the
/// request keeps its place in the queue across broken connections and restarts of the server, and a
/// retry never locks twice. The HttpClient must outlive it. Not thread-safe: use it on the thread
/// that runs the client's io_context.
class Acquisition {
 public:
  struct Options {
    /// How long to wait in the queue; 0: do not wait. None: for ever.
    std::optional<milliseconds> wait = milliseconds{0};
    /// The token of a living lease to join; empty: a new lease. A later request for the same locks
    /// by another client with this token takes over the place in the queue.
    std::string token = {};
    milliseconds timeout{10'000};  ///< For connecting, and for an answer in addition to its wait.
    /// How long to retry while the server is away, once it has answered or has held a waiting
    /// request, which may be in its queue. An attempt under way goes on.
    milliseconds patience{60'000};
    /// The same before that.
    milliseconds first_patience{5'000};
    /// Called with each failure that is retried.
    std::function<void(const Failure&)> on_trouble = {};
  };

  Acquisition(HttpClient& client, Wanted wanted, Options options);

  /// Returns the grant, or why there is none.
  ///
  /// Terminal cancellation makes it fail or throw boost::system::system_error (operation_aborted).
  /// It does not withdraw the request: the server may have granted the locks, or may yet. Call
  /// async_give_up() from a coroutine that is not cancelled; otherwise they are held until their
  /// TTL runs out; without one, until they are released or forced.
  [[nodiscard]] net::awaitable<Result<Grant>> async_run();
  /// After an interruption: leaves the queue and releases what was granted. Uses `client`, which
  /// must not be the one given to the constructor. An async_run() under way asks nothing more and
  /// fails. Returns false if the server did not answer.
  [[nodiscard]] net::awaitable<bool> async_give_up(HttpClient& client);
  /// After a failure of async_run(): whether the locks may be held all the same and would not end
  /// by themselves.
  [[nodiscard]] bool may_stay_held(const Failure& failure) const {
    return failure.kind == Failure::Kind::unreachable && (joins() || wanted_.ttl.empty());
  }
  /// The lease's token. Without Options::token it is a new one, and changes if a grant expires
  /// before its answer arrives.
  [[nodiscard]] const std::string& token() const { return token_; }

 private:
  [[nodiscard]] milliseconds piece() const;
  [[nodiscard]] Call next_call();
  [[nodiscard]] bool joins() const { return !options_.token.empty(); }
  [[nodiscard]] bool has_expired(const Failure& failure) const;
  [[nodiscard]] net::awaitable<Result<Reply>> async_ask(Call call, bool needs_lease = false);
  [[nodiscard]] net::awaitable<Result<Grant>> async_acquire();
  [[nodiscard]] net::awaitable<Result<Grant>> async_confirm(Grant grant);
  [[nodiscard]] net::awaitable<std::optional<Failure>> async_renew_lease();
  [[nodiscard]] net::awaitable<std::optional<Failure>> async_look_at_lease();
  [[nodiscard]] net::awaitable<void> async_leave_line(const Failure& failure);
  [[nodiscard]] net::awaitable<void> async_hang_up();

  HttpClient& client_;
  const Wanted wanted_;
  const Options options_;
  std::string token_;
  std::optional<LeasePage> lease_;  // the joined one, as it was before
  SteadyClock::time_point until_;
  bool has_answered_ = false;
  bool has_waited_ = false;
  bool is_asking_ = false;
  bool is_given_up_ = false;
};

}  // namespace locker::client
