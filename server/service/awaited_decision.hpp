#pragma once

#include <mutex>
#include <optional>
#include <utility>

#include "server/request_handler.hpp"

namespace locker::server {

/// What any thread decides once and a connection waits for. Either can come first: a decision that
/// is there before start() wakes inside of it, a later one wakes inside of decide(). Waker::wake()
/// is called under the mutex, so that who is woken finds decide() over, and may destroy this then.
template <typename Decision>
class AwaitedDecision {
 public:
  /// Called at most once, on the connection's thread, as all but decide().
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
  /// Nobody else touches it any more. REQUIRES: decide() was called.
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
