#pragma once

#include <functional>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "client/library/calls.hpp"

namespace locker::client {

/// Renews a lease until it is lost or stopped. Not thread-safe: use it on the thread that runs the
/// io_context.
class LeaseKeeper {
 public:
  /// `on_renewed`, if not empty, is called after each successful renewal, which changes ends_at().
  LeaseKeeper(net::io_context& io_context, ServerAddress address, const Grant& grant,
              std::function<void()> on_renewed = {});

  /// Renews the lease every third of its TTL, every 10 s without one. Returns
  /// - a failure of kind `lost` when the server says that the lease or a lock of the grant has
  ///   ended;
  /// - a failure of kind `unreachable` when no renewal has succeeded by warns_at(): the lease lives
  ///   on until ends_at();
  /// - no failure after stop().
  ///
  /// Terminal cancellation makes it throw boost::system::system_error (operation_aborted). Neither
  /// that nor stop() releases the lease.
  [[nodiscard]] net::awaitable<std::optional<Failure>> async_run();
  /// Makes async_run() return.
  void stop();
  /// Makes async_run() retry until ends_at() instead of warns_at(), for a caller that has nothing
  /// to end before the lease does. Call it before async_run().
  void go_on_to_the_end() { is_to_warn_ = false; }
  /// Renews immediately: for a process that was stopped for a while.
  void hurry();

  /// The TTL in the last answer: every user of the token can change it. None: the lease does not
  /// end by itself.
  [[nodiscard]] std::optional<milliseconds> ttl() const { return ttl_; }
  /// When the TTL may have run out; time_point::max() without one. Nobody else has the locks
  /// before, except after a force, or a release or a shorter TTL by another user of the token:
  /// those are known only at the next renewal.
  [[nodiscard]] BootClock::time_point ends_at() const;
  /// Two thirds of the TTL after the last successful renewal was sent: the time to end in good
  /// order what the locks protect. After go_on_to_the_end() the same as ends_at().
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
  std::optional<Renewal> seen_;  // the last one after which the locks were read
  bool is_to_warn_ = true;
  bool is_stopped_ = false;
  bool is_hurried_ = false;
};

}  // namespace locker::client
