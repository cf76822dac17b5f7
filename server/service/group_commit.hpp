#pragma once

#include <algorithm>
#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <functional>
#include <mutex>
#include <string>
#include <thread>
#include <utility>

#include "persistence/journal.hpp"
#include "server/prometheus/histogram.hpp"

namespace locker::server {

using persistence::Index;

/// Base of an object that waits for an index to become durable. The waiter is itself the queue's
/// node, so that waiting allocates nothing.
class DurabilityWaiter {
 public:
  virtual ~DurabilityWaiter() = default;
  /// Called once when the index is durable, on the thread that committed, with no lock held. Must
  /// be quick and must not throw. If the waiter belongs to another thread, it hands the work over
  /// to its own executor.
  virtual void on_durable() = 0;
  /// Called when some thread has to call commit() and this waiter is chosen to see to it. Any
  /// thread, with the lock held: must only post the call.
  virtual void on_commit_needed() = 0;

 private:
  friend class GroupCommit;
  Index awaited_ = 0;
  DurabilityWaiter* next_ = nullptr;
};

/// Group commit: collects the records of many requests into one frame, and releases their answers
/// once the frame is durable. One frame is written at a time, while the next one collects.
///
/// Any thread may commit, by calling commit(). On the hot path the I/O thread that opened the batch
/// does it, after it has served the other connections that were ready, so that no thread has to be
/// woken (7 to 55 us each time). On a slow disk a thread of its own commits, which the constructor
/// starts. Thread-safe.
class GroupCommit {
 public:
  using Clock = std::chrono::steady_clock;

  /// `on_failure` is called once with the error when the journal fails; it must not return, and the
  /// process is aborted if it does. `on_durable`, if set, is called after each commit with the
  /// durable index, on the thread that committed, with no lock held.
  GroupCommit(persistence::Journal& journal, Index last_index,
              std::function<void(const core::Fault&)> on_failure,
              std::function<void(Index)> on_durable = {});

  /// Guards the lock table and the open batch: decisions and records share one order.
  [[nodiscard]] std::mutex& mutex() { return mutex_; }
  /// Appends a record to the open batch and returns its index. REQUIRES: mutex() is held.
  Index add(const core::Record& record);
  /// The index of the last record added. REQUIRES: mutex() is held.
  [[nodiscard]] Index last_index() const { return last_index_; }
  /// Bytes of records that are not in the journal yet. REQUIRES: mutex() is held.
  [[nodiscard]] std::size_t pending_bytes() const { return open_.size() + under_way_.size(); }
  /// Number of records in the open batch. REQUIRES: mutex() is held.
  [[nodiscard]] std::size_t open_records() const { return open_count_; }

  /// Returns whether everything up to `index` is durable. Lock-free.
  [[nodiscard]] bool is_durable(Index index) const { return index <= durable_index(); }
  /// Returns the highest durable index. Lock-free.
  [[nodiscard]] Index durable_index() const {
    return durable_index_.load(std::memory_order_acquire);
  }
  /// Registers `waiter` for `index`. Returns false if `index` is durable already. Otherwise returns
  /// true: the waiter is called later, and must live until then; some thread has to call commit().
  [[nodiscard]] bool wait(DurabilityWaiter& waiter, Index index);
  /// Blocks until `index` is durable. Commits on this thread if no other thread is committing, and
  /// leaves records that arrived in the meantime to those that wait for them.
  void commit_until(Index index);
  /// Commits the open batch unless another thread is committing. Blocks for a sync. Returns true if
  /// records arrived in the meantime, which this thread should commit soon.
  bool commit();
  /// Like commit(), for a thread with other work to do. On a slow disk this returns false
  /// immediately, and GroupCommit's own thread commits until no records remain: answers that do not
  /// wait for the disk must not wait for a sync either.
  bool commit_or_hand_over();
  /// Commits are handed over while the moving average of their duration exceeds this. Waking the
  /// thread costs 7 to 55 us, so quick syncs (0.1 ms) are better done in place.
  static constexpr std::chrono::milliseconds slow_sync{2};
  /// Returns how long the disk has stood still since the start: the part of each commit beyond
  /// stand_still_min. REQUIRES: mutex() is held.
  [[nodiscard]] Clock::duration stood_still(Clock::time_point now) const {
    if (!committing_) return stood_still_;
    return stood_still_ + std::max(now - commit_began_ - stand_still_min, Clock::duration::zero());
  }
  static constexpr std::chrono::milliseconds stand_still_min{300};
  /// What was committed since the start. Any thread may read; the committing thread adds.
  struct Measured {
    DurationHistogram durations;  ///< Of writing and syncing a batch.
    SizeHistogram records;        ///< Per batch.
    Counter bytes;                ///< Of the records.
  };
  [[nodiscard]] const Measured& measured() const { return measured_; }

 private:
  void pass_on();
  Clock::time_point append_under_way(std::uint32_t count);
  void work(const std::stop_token& stop);
  /// Unlinks the waiters up to `reached`, in order. REQUIRES: mutex_ is held.
  DurabilityWaiter* take_ripe_waiters(Index reached);

  persistence::Journal& journal_;
  const std::function<void(const core::Fault&)> on_failure_;
  const std::function<void(Index)> on_durable_;
  std::mutex mutex_;
  std::condition_variable committed_;
  std::string open_;
  std::string under_way_;
  std::uint32_t open_count_ = 0;
  bool committing_ = false;
  Clock::time_point commit_began_;  // of the one under way, if any
  Clock::duration stood_still_{0};  // in finished commits
  Index last_index_;
  std::atomic<Index> durable_index_;
  Measured measured_;
  DurabilityWaiter* waiters_first_ = nullptr;
  DurabilityWaiter* waiters_last_ = nullptr;

  std::atomic<std::chrono::nanoseconds> average_{std::chrono::nanoseconds{0}};
  std::condition_variable_any handed_over_;
  bool is_handed_over_ = false;
  std::jthread thread_;  // declared last, so that it ends before the others
};

}  // namespace locker::server
