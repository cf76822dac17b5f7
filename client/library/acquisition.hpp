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
    std::string token = {};        ///< Of a lease to join; empty: a fresh one.
    milliseconds timeout{10'000};  ///< For an answer, its wait aside.
    /// How long the server may be away once it has answered, or has let us wait.
    milliseconds patience{60'000};
    milliseconds first_patience{5'000};  ///< The same before it ever has.
    /// Told of each failure after which it is asked again.
    std::function<void(const Failure&)> on_trouble = {};
  };

  Acquisition(HttpClient& client, Wanted wanted, Options options);

  [[nodiscard]] net::awaitable<Result<Grant>> async_run();
  /// After an interruption, by another client: leaves the line, and gives back what was granted.
  /// async_run(), if it is under way, asks nothing more and fails.
  [[nodiscard]] net::awaitable<void> async_give_up(HttpClient& client);
  [[nodiscard]] const std::string& token() const { return token_; }

 private:
  [[nodiscard]] milliseconds piece() const;
  [[nodiscard]] bool has_expired(const Failure& failure) const;
  [[nodiscard]] net::awaitable<Result<Reply>> async_ask(const Call& call, milliseconds wait);
  [[nodiscard]] net::awaitable<Result<Grant>> async_confirm(Grant grant);

  HttpClient& client_;
  const Wanted wanted_;
  const Options options_;
  std::string token_;
  SteadyClock::time_point until_;
  bool has_answered_ = false;
  bool is_given_up_ = false;
};

}  // namespace locker::client
