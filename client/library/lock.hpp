#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "client/library/acquisition.hpp"

namespace locker::client {

/// A lock for programs without an event loop. lock() acquires it, a thread of its own renews it,
/// and release() or the destructor releases it.
///
///   auto lock = locker::client::lock(address, {.paths = {"/db/backup"}}, {.wait = 10min});
///   if (!lock) …                          // lock.error().message says why
///   write_with((*lock)->fence());
///   if ((*lock)->is_lost()) …             // before each step that must not be done twice
///
/// It belongs to the process that acquired it: in a forked child is_lost() is true, and the
/// destructor releases nothing. Thread-safe. It is built on Acquisition and LeaseKeeper, which
/// programs with coroutines use directly.
class Lock {
 public:
  /// Called at most once, on the renewing thread: when the server says that the lock is lost, or
  /// after two thirds of the TTL without a successful renewal. May release and destroy the lock.
  using OnLost = std::function<void(const Failure&)>;

  ~Lock();
  Lock(const Lock&) = delete;
  Lock& operator=(const Lock&) = delete;

  [[nodiscard]] const Grant& grant() const { return grant_; }
  [[nodiscard]] std::uint64_t fence() const { return grant_.fence; }
  /// Whether somebody else may have the lock; also true after release(). Makes no request.
  ///
  /// It is true from the moment the TTL may have run out, even if this machine was suspended. Two
  /// ends are known only at the next renewal, a third of the TTL after the last one (10 s without a
  /// TTL): a force, and a release or a shorter TTL by another user of the token. Until then it
  /// returns false although the next holder may have begun; after a force `lock_delay` can keep
  /// others out.
  [[nodiscard]] bool is_lost() const;
  /// Releases the whole lease, or the paths that were added to one by Acquisition::Options::token.
  /// Blocks, and retries for up to ten seconds while there is no answer, as the destructor does;
  /// after that a background thread retries for a lock that would not end by itself. Fails with the
  /// kind `lost` if the lock was lost before. Further calls do nothing.
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
  const bool has_joined_;  // joined a lease, which may have other locks
  const std::shared_ptr<Keeping> keeping_;
};

/// Acquires a lock; blocks until it is granted or refused. With Acquisition::Options::token it
/// joins that lease, whose TTL stays as it is. If there is no answer, and the lock may be held and
/// would not end by itself, a background thread releases it. Throws if no thread can be started.
[[nodiscard]] Result<std::unique_ptr<Lock>> lock(const ServerAddress& address, const Wanted& wanted,
                                                 const Acquisition::Options& options = {},
                                                 Lock::OnLost on_lost = {});

/// For a released lease that had lost some of its locks before (see tells_of_loss()): asks the
/// server how. Null if another user of the token had released them.
[[nodiscard]] std::optional<Failure> find_loss(const ServerAddress& address, const Grant& grant);

/// Makes one call of any kind on a connection of its own; blocks.
[[nodiscard]] Result<Reply> call(const ServerAddress& address, const Call& request,
                                 milliseconds timeout = milliseconds{10'000});

}  // namespace locker::client
