#include "server/service/group_commit.hpp"

#include <utility>

#include "core/assert.hpp"

namespace locker::server {

GroupCommit::GroupCommit(persistence::Journal& journal, Index last_index,
                         std::function<void(const core::Fault&)> on_failure,
                         std::function<void(Index)> on_durable)
    : journal_(journal),
      on_failure_(std::move(on_failure)),
      on_durable_(std::move(on_durable)),
      last_index_(last_index),
      durable_index_(last_index),
      thread_([this](const std::stop_token& stop) { work(stop); }) {}

Index GroupCommit::add(const core::Record& record) {
  core::append_record(record, open_);
  ++open_count_;
  return ++last_index_;
}

bool GroupCommit::wait(DurabilityWaiter& waiter, Index index) {
  const std::lock_guard lock{mutex_};
  if (is_durable(index)) return false;
  waiter.awaited_ = index;
  waiter.next_ = nullptr;
  (waiters_last_ == nullptr ? waiters_first_ : waiters_last_->next_) = &waiter;
  waiters_last_ = &waiter;
  return true;
}

void GroupCommit::commit_until(Index index) {
  bool more = false;
  while (!is_durable(index)) {
    more = commit();
    std::unique_lock lock{mutex_};
    committed_.wait(lock, [&] { return !committing_ || is_durable(index); });
  }
  if (more) pass_on();
}

// Threads whose commit() found this one committing rely on it to go on; under constant load a
// blocking caller would go on for ever.
void GroupCommit::pass_on() {
  const std::lock_guard lock{mutex_};
  if (!committing_ && open_count_ != 0 && waiters_first_ != nullptr) {
    waiters_first_->on_commit_needed();
  }
}

bool GroupCommit::commit() {
  std::unique_lock lock{mutex_};
  if (committing_ || open_count_ == 0) return false;
  committing_ = true;
  commit_began_ = Clock::now();
  std::swap(open_, under_way_);
  const std::uint32_t count = std::exchange(open_count_, 0);
  const Index reached = last_index_;
  lock.unlock();

  const Clock::time_point ended = append_under_way(count);
  lock.lock();
  under_way_.clear();
  stood_still_ = stood_still(ended);
  committing_ = false;
  durable_index_.store(reached, std::memory_order_release);
  DurabilityWaiter* const ripe = take_ripe_waiters(reached);
  const bool more = open_count_ != 0;
  lock.unlock();
  committed_.notify_all();
  if (on_durable_) on_durable_(reached);
  for (DurabilityWaiter* waiter = ripe; waiter != nullptr;) {
    DurabilityWaiter* const next = waiter->next_;  // on_durable() may queue it again
    waiter->on_durable();
    waiter = next;
  }
  return more;
}

/// Returns when the append was done.
GroupCommit::Clock::time_point GroupCommit::append_under_way(std::uint32_t count) {
  // An exception, for want of memory, is like an error: the contents of the disk are unknown. If a
  // caller caught it, everybody would wait for this commit for ever.
  const auto appended = [&]() noexcept { return journal_.append(under_way_, count); }();
  if (!appended) {
    on_failure_(appended.error());
    std::abort();  // The contents of the disk are unknown: no answer may leave any more.
  }
  const Clock::time_point ended = Clock::now();
  const std::chrono::nanoseconds took = ended - commit_began_;
  measured_.durations.add(static_cast<std::uint64_t>(took.count()));
  measured_.records.add(count);
  measured_.bytes.add(under_way_.size());
  average_ = (7 * average_.load(std::memory_order_relaxed) + took) / 8;
  return ended;
}

bool GroupCommit::commit_or_hand_over() {
  if (average_.load(std::memory_order_relaxed) < slow_sync) return commit();
  {
    const std::lock_guard lock{mutex_};
    is_handed_over_ = true;
  }
  handed_over_.notify_one();
  return false;
}

void GroupCommit::work(const std::stop_token& stop) {
  for (;;) {
    {
      std::unique_lock lock{mutex_};
      if (!handed_over_.wait(lock, stop, [this] { return is_handed_over_; })) return;
      is_handed_over_ = false;
    }
    while (commit()) {
    }
  }
}

DurabilityWaiter* GroupCommit::take_ripe_waiters(Index reached) {
  DurabilityWaiter* ripe = nullptr;
  DurabilityWaiter** ripe_end = &ripe;
  DurabilityWaiter** kept_end = &waiters_first_;
  waiters_last_ = nullptr;
  for (DurabilityWaiter* waiter = waiters_first_; waiter != nullptr; waiter = waiter->next_) {
    if (waiter->awaited_ <= reached) {
      *ripe_end = waiter;
      ripe_end = &waiter->next_;
    } else {
      *kept_end = waiter;
      kept_end = &waiter->next_;
      waiters_last_ = waiter;
    }
  }
  *ripe_end = nullptr;
  *kept_end = nullptr;
  return ripe;
}

}  // namespace locker::server
