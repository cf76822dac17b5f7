#pragma once

#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <deque>
#include <memory>
#include <mutex>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "server/request_handler.hpp"
#include "server/service/group_commit.hpp"

namespace locker::server {

/// What became of the deliveries.
struct DeliveryCount {
  std::atomic<int> made = 0;
  std::atomic<int> lost = 0;   ///< Not delivered.
  std::atomic<int> ended = 0;  ///< Destroyed, lost or not.
};

class CountedDelivery final : public Delivery {
 public:
  explicit CountedDelivery(DeliveryCount& count) : count_(count) { ++count_.made; }
  ~CountedDelivery() override {
    if (!is_delivered_) ++count_.lost;
    ++count_.ended;
  }
  CountedDelivery(const CountedDelivery&) = delete;
  CountedDelivery& operator=(const CountedDelivery&) = delete;
  void delivered() override { is_delivered_ = true; }

 private:
  DeliveryCount& count_;
  bool is_delivered_ = false;
};

/// A pending request, seen from the test, which lets it continue. Any thread.
class Ticket {
 public:
  /// Makes the answer ready. Returns false if the connection gave up before.
  bool wake() {
    const std::lock_guard lock{mutex};
    if (abandoned || std::exchange(woken, true)) return false;
    if (waker != nullptr) waker->wake();
    return true;
  }
  [[nodiscard]] bool is_abandoned() {
    const std::lock_guard lock{mutex};
    return abandoned;
  }
  [[nodiscard]] int finishes() {
    const std::lock_guard lock{mutex};
    return finished;
  }

  std::mutex mutex;
  Waker* waker = nullptr;
  bool woken = false;
  bool abandoned = false;    ///< abandon() was called first.
  int refused_abandons = 0;  ///< abandon() came too late.
  int finished = 0;
};

/// The events of a stream, supplied by the test. Any thread.
class Channel {
 public:
  void put(std::string_view text) {
    const std::lock_guard lock{mutex};
    events += text;
    wake();
  }
  void end() {
    const std::lock_guard lock{mutex};
    over = true;
    wake();
  }
  /// REQUIRES: mutex is held.
  void wake() {
    if (waker != nullptr && std::exchange(waits, false)) waker->wake();
  }
  [[nodiscard]] bool is_gone() {
    const std::lock_guard lock{mutex};
    return gone;
  }
  [[nodiscard]] std::size_t largest() {
    const std::lock_guard lock{mutex};
    return largest_limit;
  }

  std::mutex mutex;
  Waker* waker = nullptr;
  bool waits = true;  ///< start() counts as a read() that found nothing.
  std::string events;
  bool endless = false;  ///< Every read() fills its limit.
  bool throws = false;
  bool over = false;
  bool gone = false;  ///< The stream is destroyed.
  std::size_t largest_limit = 0;
};

/// Defers its answers. The paths:
///   /pend      when its ticket says so; "PUT /pend"
///   /instant   like /pend, but its ticket says so within start()
///   /throws    like /pend, but finish() throws, with a delivery
///   /write     adds a record, answers with its index
///   /pwrite    the same in finish()
///   /deliver   immediately, with a delivery
///   /big       immediately, 30 MB, with a delivery
///   /stream    events of a new channel; /endless without end
///   others     immediately, with the path
/// A pending answer has a delivery if its query is ?deliver.
class LaterHandler final : public RequestHandler {
 public:
  explicit LaterHandler(GroupCommit& commit) : commit_(commit) {}

  void answer(const Request& request, Response& response) override;

  /// Waits for the ticket or channel with that number.
  std::shared_ptr<Ticket> ticket(std::size_t number);
  std::shared_ptr<Channel> channel(std::size_t number);
  /// Adds a record and returns its index.
  std::uint64_t write();

  DeliveryCount deliveries;
  std::atomic<int> calls = 0;

 private:
  class TicketAnswer;
  class ChannelStream;

  std::unique_ptr<PendingAnswer> make_pending(std::string_view path, std::string_view query);

  GroupCommit& commit_;
  std::mutex mutex_;
  std::condition_variable changed_;
  std::deque<std::shared_ptr<Ticket>> tickets_;
  std::deque<std::shared_ptr<Channel>> channels_;
};

}  // namespace locker::server
