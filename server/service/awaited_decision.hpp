#pragma once

#include <mutex>
#include <optional>
#include <utility>

#include "server/request_handler.hpp"

namespace locker::server {

/// A decision that is made once, on any thread, and that a connection waits for. The two can come
/// in either order: if the decision precedes start(), start() wakes the connection, otherwise
/// decide() does. Waker::wake() is called under the mutex, so that decision() returns only when
/// decide() is over; the object may be destroyed then.
template <typename Decision>
class AwaitedDecision {
 public:
  /// Called at most once, on the connection's thread, like everything except decide().
  void start(Waker& waker) {
    const std::lock_guard lock{mutex_};
    waker_ = &waker;
    if (decision_) waker.wake();
  }
  [[nodiscard]] bool is_started() const { return waker_ != nullptr; }
  /// Called at most once, on any thread.
  void decide(Decision decision) {
    const std::lock_guard lock{mutex_};
    decision_.emplace(std::move(decision));
    if (waker_ != nullptr) waker_->wake();
  }
  /// Returns the decision; no other thread touches the object after that. REQUIRES: decide() was
  /// called.
  [[nodiscard]] Decision& decision() {
    const std::lock_guard lock{mutex_};
    return *decision_;
  }

 private:
  std::mutex mutex_;
  std::optional<Decision> decision_;
  Waker* waker_ = nullptr;
};

}  // namespace locker::server
