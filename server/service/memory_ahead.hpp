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

/// A memory resource of equally sized blocks, which a thread touches before they are requested, as
/// one huge page each if the system has them. Without it, the first touch of new memory, when the
/// kernel fills it with zeros, takes a third as long as the rest of a recovery; and with a million
/// locks held, an acquire and release take a quarter longer, because the processor walks four
/// levels of page tables again and again.
///
/// The first few blocks are not touched: a small store needs only a small part of each. Two blocks
/// are kept ready; they are unused memory, and a start must not need much more than the server that
/// ran before it. Any thread may allocate; other sizes and alignments come from the default
/// resource.
class MemoryAhead final : public std::pmr::memory_resource {
 public:
  static constexpr std::size_t block_bytes = core::MemoryChunks::chunk_bytes;

  /// REQUIRES: everything has been deallocated.
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
  static constexpr std::size_t ready_max = 2;  // some 10,000 locks each

  std::mutex mutex_;
  std::condition_variable_any taken_;
  std::size_t allocated_ = 0;
  bool is_without_thread_ = false;
  std::vector<void*> ready_;  ///< At most ready_max.
  std::jthread thread_;
};

}  // namespace locker::server
