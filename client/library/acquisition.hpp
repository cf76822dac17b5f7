#pragma once

#include <functional>
#include <optional>
#include <string>

#include <boost/asio/steady_timer.hpp>

#include "client/library/calls.hpp"

namespace locker::client {

/// One acquire, asked again until it is decided: the token is the client's own, so the place in the
/// line is kept while connections break and while the server is restarted, and nothing is ever
/// locked twice.
class Acquisition {
 public:
  struct Options {
    std::optional<milliseconds> wait = milliseconds{0};  ///< None: for ever.
    /// Of a living lease to join; empty: of a fresh one. Another client that asks for the same
    /// later, with the same token, takes our place in the line.
    std::string token = {};
    milliseconds timeout{10'000};  ///< To connect, and for an answer, its wait aside.
    /// How long the server may be away once it has answered, or has let us wait. A try that is
    /// under way goes on.
    milliseconds patience{60'000};
    /// The same before it ever has. Who waits may be in the line of a server that is silent.
    milliseconds first_patience{5'000};
    /// Told of each failure after which it is asked again.
    std::function<void(const Failure&)> on_trouble = {};
  };

  Acquisition(HttpClient& client, Wanted wanted, Options options);

  [[nodiscard]] net::awaitable<Result<Grant>> async_run();
  /// After an interruption, by another client: leaves the line, and gives back what was granted.
  /// async_run(), if it is under way, asks nothing more and fails. False if there was no answer.
  [[nodiscard]] net::awaitable<bool> async_give_up(HttpClient& client);
  /// When async_run() has failed: whether the lock may be held all the same, and would not end by
  /// itself.
  [[nodiscard]] bool may_stay_held(const Failure& failure) const {
    return failure.kind == Failure::Kind::unreachable && (joins() || wanted_.ttl.empty());
  }
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
  std::optional<LeasePage> lease_;  // that is joined, as it was before
  SteadyClock::time_point until_;
  bool has_answered_ = false;
  bool has_waited_ = false;
  bool is_asking_ = false;
  bool is_given_up_ = false;
};

}  // namespace locker::client
