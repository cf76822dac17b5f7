#pragma once

#include <condition_variable>
#include <cstddef>
#include <memory_resource>
#include <mutex>
#include <stop_token>
#include <thread>
#include <vector>

#include "core/memory_chunks.hpp"

namespace locker::server {

/// Memory in blocks of one size that a thread has touched before they are asked for, as one huge
/// page each where the system has them. Without that, the first touch of new memory, where the
/// kernel fills it with zeros, takes as long as a third of the rest while a store is read back; and
/// with a million locks held a pair of acquire and release takes a quarter more time, because the
/// processor looks up four levels of page tables again and again.
///
/// The first few blocks are not touched: a small store needs a small part of each. Two are kept
/// ready: they are memory that nothing is in, and a start must not need much more than the server
/// that ran before it. Any thread may allocate; other sizes and alignments come from the default
/// resource.
class MemoryAhead final : public std::pmr::memory_resource {
 public:
  static constexpr std::size_t block_bytes = core::MemoryChunks::chunk_bytes;

  /// REQUIRES: everything was given back.
  ~MemoryAhead() override;

 private:
  void* do_allocate(std::size_t bytes, std::size_t alignment) override;
  void do_deallocate(void* block, std::size_t bytes, std::size_t alignment) override;
  [[nodiscard]] bool do_is_equal(const memory_resource& other) const noexcept override {
    return this == &other;
  }
  void start_thread();
  void work(const std::stop_token& stop);

  static constexpr std::size_t untouched = 8;
  static constexpr std::size_t ready_max = 2;  // of some 10,000 locks each

  std::mutex mutex_;
  std::condition_variable_any taken_;
  std::size_t allocated_ = 0;
  bool is_without_thread_ = false;
  std::vector<void*> ready_;  ///< At most ready_max.
  std::jthread thread_;
};

}  // namespace locker::server
