#pragma once

#include <atomic>
#include <cstddef>
#include <utility>

namespace locker::server {

/// A total over all workers, of connections or of bytes. Thread-safe.
class SharedCount {
 public:
  explicit SharedCount(std::size_t max) : max_(max) {}
  /// False: the maximum is reached. The last addition may exceed it.
  [[nodiscard]] bool add(std::size_t more = 1) {
    std::size_t now = value();
    while (now < max_) {
      if (count_.compare_exchange_weak(now, now + more, std::memory_order_relaxed)) return true;
    }
    return false;
  }
  void remove(std::size_t less = 1) { count_.fetch_sub(less, std::memory_order_relaxed); }
  [[nodiscard]] std::size_t value() const { return count_.load(std::memory_order_relaxed); }

 private:
  const std::size_t max_;
  std::atomic<std::size_t> count_ = 0;
};

/// The share of one buffer in a SharedCount. Not thread-safe.
class SharedPart {
 public:
  explicit SharedPart(SharedCount& all) : all_(all) {}
  ~SharedPart() { give_back(); }
  SharedPart(const SharedPart&) = delete;
  SharedPart& operator=(const SharedPart&) = delete;

  [[nodiscard]] bool is_empty() const { return size_ == 0; }
  /// False: the maximum is reached.
  [[nodiscard]] bool add(std::size_t more) {
    if (!all_.add(more)) return false;
    size_ += more;
    return true;
  }
  /// Releases the whole share. The SharedCount is not used after that until something is added.
  void give_back() {
    if (size_ != 0) all_.remove(std::exchange(size_, 0));
  }

 private:
  SharedCount& all_;
  std::size_t size_ = 0;
};

}  // namespace locker::server
