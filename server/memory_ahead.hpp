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

/// Memory in blocks of one size that a thread has touched before they are asked for. While a store
/// is read back its table grows faster than ever after, and the first touch of new memory, where
/// the kernel fills it with zeros, takes as long as a third of the rest.
///
/// The first few blocks are not touched: a small store needs a small part of each. Any thread may
/// allocate; other sizes and alignments come from the default resource.
class MemoryAhead final : public std::pmr::memory_resource {
 public:
  static constexpr std::size_t block_bytes = core::MemoryChunks::chunk_bytes;

  /// REQUIRES: everything was given back.
  ~MemoryAhead() override;
  /// From now on nothing is touched before it is asked for, and what was and is left goes back.
  /// REQUIRES: nobody allocates meanwhile.
  void stop();

 private:
  void* do_allocate(std::size_t bytes, std::size_t alignment) override;
  void do_deallocate(void* block, std::size_t bytes, std::size_t alignment) override;
  [[nodiscard]] bool do_is_equal(const memory_resource& other) const noexcept override {
    return this == &other;
  }
  void work(const std::stop_token& stop);

  static constexpr std::size_t ready_max = 8;
  static constexpr std::size_t untouched = 8;

  std::mutex mutex_;
  std::condition_variable_any taken_;
  std::size_t allocated_ = 0;
  bool is_stopped_ = false;
  std::vector<void*> ready_;  ///< At most ready_max.
  std::jthread thread_;
};

}  // namespace locker::server
