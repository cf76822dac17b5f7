#pragma once

#include <functional>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "client/library/calls.hpp"

namespace locker::client {

/// Renews a lease until it is lost or stopped. On the thread that runs the io_context.
class LeaseKeeper {
 public:
  /// `on_renewed`, if not empty, is told of each renewal: ends_at() is later then.
  LeaseKeeper(net::io_context& io_context, ServerAddress address, const Grant& grant,
              std::function<void()> on_renewed = {});

  /// Returns when the lease, or one of the grant's locks, has ended, as the server says, or when
  /// nothing was heard until warns_at(); then the failure's kind is `unreachable`, and the lease
  /// lives on until ends_at(). Without a failure: stop() was called.
  [[nodiscard]] net::awaitable<std::optional<Failure>> async_run();
  void stop();
  /// To be called before async_run(): nothing has to end before the lease does, so it goes on until
  /// ends_at().
  void go_on_to_the_end() { is_to_warn_ = false; }
  /// Renew now: the process was stopped for a while.
  void hurry();

  /// As the server said last: whoever has the token can change it. None: it does not end by itself.
  [[nodiscard]] std::optional<milliseconds> ttl() const { return ttl_; }
  /// Until then nobody else has the locks, whatever happens. time_point::max() without a TTL.
  [[nodiscard]] BootClock::time_point ends_at() const;
  /// Two thirds of the way there: time to end what the locks protect, in good order. After
  /// go_on_to_the_end(): as ends_at().
  [[nodiscard]] BootClock::time_point warns_at() const;

 private:
  using Locks = std::map<std::string, LeasePage::Held>;
  [[nodiscard]] milliseconds interval() const;
  [[nodiscard]] milliseconds pause() const;
  [[nodiscard]] net::awaitable<void> async_sleep_until(BootClock::time_point when);
  [[nodiscard]] BootClock::duration spare() const;
  [[nodiscard]] net::awaitable<Result<Renewal>> async_renew();
  [[nodiscard]] bool is_as_seen(const Renewal& renewed) const;
  [[nodiscard]] bool is_another(const LeasePage::Held& held) const;
  [[nodiscard]] net::awaitable<std::optional<Locks>> async_look();
  [[nodiscard]] net::awaitable<std::optional<Failure>> async_look_for_loss(const Renewal& renewed);

  HttpClient client_;
  BootTimer timer_;
  BootTimer deadline_;  // of a call
  const std::string token_;
  std::vector<std::string> paths_;
  const std::uint64_t fence_;
  const bool shared_;
  const std::function<void()> on_renewed_;
  std::optional<milliseconds> ttl_;
  BootClock::time_point sent_;
  std::optional<Renewal> seen_;  // the last one after which the locks were looked at
  bool is_to_warn_ = true;
  bool is_stopped_ = false;
  bool is_hurried_ = false;
};

}  // namespace locker::client
