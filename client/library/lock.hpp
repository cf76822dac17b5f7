#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "client/library/acquisition.hpp"

namespace locker::client {

/// A lock for programs without an event loop: taken by lock(), renewed by a thread of its own,
/// given back by release() or the destructor.
///
///   auto lock = locker::client::lock(address, {.paths = {"/db/backup"}}, {.wait = 10min});
///   if (!lock) …                          // lock.error().message says why
///   write_with((*lock)->fence());
///   if ((*lock)->is_lost()) …             // before each step that must not be done twice
///
/// It belongs to the process that took it: in a fork of that it is lost, and its destructor gives
/// nothing back. Thread-safe. With coroutines use Acquisition and LeaseKeeper, of which this is
/// made.
class Lock {
 public:
  /// Called once from the thread that renews, when the lock is lost or may soon be. May release the
  /// lock, and destroy it.
  using OnLost = std::function<void(const Failure&)>;

  ~Lock();
  Lock(const Lock&) = delete;
  Lock& operator=(const Lock&) = delete;

  [[nodiscard]] const Grant& grant() const { return grant_; }
  [[nodiscard]] std::uint64_t fence() const { return grant_.fence; }
  /// Whether the lock may be somebody else's; also after release(). Asks nobody. A forced end is
  /// known at the next renewal, after a third of the TTL at the latest.
  [[nodiscard]] bool is_lost() const;
  /// Gives it back: all of the lease, or what was added to one by Acquisition::Options::token.
  /// While there is no answer it tries for up to ten seconds, and the destructor does the same;
  /// then a thread goes on with what does not end by itself. A failure of kind `lost`: it was lost
  /// before. Called again, nothing happens.
  Result<void> release();

 private:
  struct Keeping;
  friend Result<std::unique_ptr<Lock>> lock(const ServerAddress& address, const Wanted& wanted,
                                            const Acquisition::Options& options, OnLost on_lost);
  Lock(const ServerAddress& address, Grant grant, bool has_joined, OnLost on_lost);
  [[nodiscard]] Result<Reply> ask(const Call& request) const;
  [[nodiscard]] bool is_of_another_process() const;

  const ServerAddress address_;
  const Grant grant_;
  const bool has_joined_;  // a lease that has other locks, too
  const std::shared_ptr<Keeping> keeping_;
};

/// Blocks until it is decided. With Acquisition::Options::token the TTL is that of the lease. What
/// was granted without an answer and does not end by itself is given back by a thread.
[[nodiscard]] Result<std::unique_ptr<Lock>> lock(const ServerAddress& address, const Wanted& wanted,
                                                 const Acquisition::Options& options = {},
                                                 Lock::OnLost on_lost = {});

/// After the release of a lease that had lost a part of its locks before, as tells_of_loss() says:
/// how it lost them; null if somebody had given them back.
[[nodiscard]] std::optional<Failure> find_loss(const ServerAddress& address, const Grant& grant);

/// One call of any kind, without coroutines.
[[nodiscard]] Result<Reply> call(const ServerAddress& address, const Call& request,
                                 milliseconds timeout = milliseconds{10'000});

}  // namespace locker::client
