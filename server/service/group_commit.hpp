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

/// Waits for an index to be durable. Embedded in who waits, so that waiting allocates nothing.
class DurabilityWaiter {
 public:
  virtual ~DurabilityWaiter() = default;
  /// Called once, on the thread that committed and under no lock: must be quick, must not throw,
  /// and hands the work over to its own executor where that is another thread's.
  virtual void on_durable() = 0;
  /// Somebody has to call commit(), and it is this waiter's turn. Any thread, under the lock: only
  /// posts the call.
  virtual void on_commit_needed() = 0;

 private:
  friend class GroupCommit;
  Index awaited_ = 0;
  DurabilityWaiter* next_ = nullptr;
};

/// Collects the records of many requests into one frame, and lets answers go once their frame is
/// durable. One frame is under way at a time; the next collects meanwhile.
///
/// Who commits: any thread that calls commit(). On the hot path that is the I/O thread that
/// opened the batch, after it has looked at the other connections that were ready: no thread is
/// woken (7 to 55 us each time). Thread-safe.
class GroupCommit {
 public:
  using Clock = std::chrono::steady_clock;

  /// `on_failure` is called once with the error when the journal failed; it must not return.
  /// `on_durable`, if there is one, is called after each commit with the durable index, on the
  /// thread that committed and under no lock.
  GroupCommit(persistence::Journal& journal, Index last_index,
              std::function<void(const core::Fault&)> on_failure,
              std::function<void(Index)> on_durable = {});

  /// The lock over the table and the open batch: decisions and records share one order.
  [[nodiscard]] std::mutex& mutex() { return mutex_; }
  /// Adds a record to the open batch. REQUIRES: mutex() is held.
  Index add(const core::Record& record);
  /// The index of the last record added. REQUIRES: mutex() is held.
  [[nodiscard]] Index last_index() const { return last_index_; }
  /// Bytes of records that are not in the journal yet. REQUIRES: mutex() is held.
  [[nodiscard]] std::size_t pending_bytes() const { return open_.size() + under_way_.size(); }
  /// Records of the batch that collects now. REQUIRES: mutex() is held.
  [[nodiscard]] std::size_t open_records() const { return open_count_; }

  /// Whether everything up to `index` is durable, which needs no lock.
  [[nodiscard]] bool is_durable(Index index) const { return index <= durable_index(); }
  /// Everything up to here is durable; needs no lock.
  [[nodiscard]] Index durable_index() const {
    return durable_index_.load(std::memory_order_acquire);
  }
  /// False when `index` is durable already. Else true, and the waiter is called later; somebody
  /// has to call commit(). The waiter must live until then.
  [[nodiscard]] bool wait(DurabilityWaiter& waiter, Index index);
  /// Blocks until `index` is durable; commits itself if nobody else does, and leaves what came
  /// meanwhile to those who wait for it.
  void commit_until(Index index);
  /// Commits the open batch unless another thread is committing. Returns true when records remain
  /// that this thread should commit soon: those that came while it was at work. Blocks for a sync.
  bool commit();
  /// The same for a thread that has other things to do. On a slow disk a thread of its own commits
  /// instead, goes on until no records remain, and this returns false at once: what does not wait
  /// for the disk must not wait for a sync either.
  bool commit_or_hand_over();
  /// Syncs that take longer than this, on the average of the last few, are handed over. Waking the
  /// thread costs 7 to 55 us, so that quick ones (0.1 ms) are better done on the spot.
  static constexpr std::chrono::milliseconds slow_sync{2};
  /// For how long the disk has stood still since the start: of each commit what was longer than
  /// stand_still_min. REQUIRES: mutex() is held.
  [[nodiscard]] Clock::duration stood_still(Clock::time_point now) const {
    if (!committing_) return stood_still_;
    return stood_still_ + std::max(now - commit_began_ - stand_still_min, Clock::duration::zero());
  }
  static constexpr std::chrono::milliseconds stand_still_min{300};
  /// What was committed since the start. Any thread may look; the thread that commits adds.
  struct Measured {
    DurationHistogram durations;  ///< Of writing a batch and syncing it.
    SizeHistogram records;        ///< Of a batch.
    Counter bytes;                ///< Of records.
  };
  [[nodiscard]] const Measured& measured() const { return measured_; }

 private:
  void pass_on();
  Clock::time_point append_under_way(std::uint32_t count);
  void work(const std::stop_token& stop);
  /// Unlinks the waiters up to an index, in order. REQUIRES: mutex_ is held.
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
  Clock::time_point commit_began_;  // if one is under way
  Clock::duration stood_still_{0};  // in those that are over
  Index last_index_;
  std::atomic<Index> durable_index_;
  Measured measured_;
  DurabilityWaiter* waiters_first_ = nullptr;
  DurabilityWaiter* waiters_last_ = nullptr;

  std::atomic<std::chrono::nanoseconds> average_{std::chrono::nanoseconds{0}};
  std::condition_variable_any handed_over_;
  bool is_handed_over_ = false;
  std::jthread thread_;  // the last one: it ends before all others
};

}  // namespace locker::server
