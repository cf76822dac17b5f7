#include "server/service/memory_ahead.hpp"

#include <sys/mman.h>

#include <cstdint>
#include <exception>
#include <new>

namespace locker::server {
namespace {

constexpr std::size_t page_bytes = 4096;

/// Returns a block aligned to its size, so that it can be one huge page. Null: out of memory.
void* map_block(std::size_t size) {
  void* const mapped =
      ::mmap(nullptr, 2 * size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (mapped == MAP_FAILED) return nullptr;
  auto* const begin = static_cast<std::byte*>(mapped);
  const std::size_t before = (size - reinterpret_cast<std::uintptr_t>(begin) % size) % size;
  if (before != 0) ::munmap(begin, before);
  ::munmap(begin + before + size, size - before);
  return begin + before;
}

void touch(void* block, std::size_t size, const std::stop_token& stop) {
  ::madvise(block, size, MADV_HUGEPAGE);  // only advice: without it there are more page faults
  for (std::size_t at = 0; at < size && !stop.stop_requested(); at += page_bytes) {
    static_cast<volatile std::byte*>(block)[at] = std::byte{0};
  }
}

}  // namespace

MemoryAhead::~MemoryAhead() {
  thread_.request_stop();
  if (thread_.joinable()) thread_.join();
  for (void* const block : ready_) ::munmap(block, block_bytes);
}

void MemoryAhead::start_thread() {
  try {
    ready_.reserve(ready_max);
    thread_ = std::jthread{[this](const std::stop_token& stop) { work(stop); }};
  } catch (const std::exception&) {
    // No thread, or no memory for one: blocks are then first touched by those who allocate them.
    is_without_thread_ = true;
  }
}

void MemoryAhead::work(const std::stop_token& stop) {
  std::unique_lock lock{mutex_};
  while (taken_.wait(lock, stop, [this] { return ready_.size() < ready_max; })) {
    lock.unlock();
    void* const block = map_block(block_bytes);
    if (block == nullptr) return;  // whoever allocates next gets the error
    touch(block, block_bytes, stop);
    lock.lock();
    ready_.push_back(block);
  }
}

void* MemoryAhead::do_allocate(std::size_t bytes, std::size_t alignment) {
  if (bytes != block_bytes || alignment > page_bytes) {
    return std::pmr::get_default_resource()->allocate(bytes, alignment);
  }
  std::unique_lock lock{mutex_};
  if (++allocated_ > untouched && !thread_.joinable() && !is_without_thread_) start_thread();
  if (ready_.empty()) {
    lock.unlock();
    void* const block = map_block(bytes);
    if (block == nullptr) throw std::bad_alloc();
    return block;
  }
  void* const block = ready_.back();
  ready_.pop_back();
  lock.unlock();
  taken_.notify_one();
  return block;
}

void MemoryAhead::do_deallocate(void* block, std::size_t bytes, std::size_t alignment) {
  if (bytes != block_bytes || alignment > page_bytes) {
    return std::pmr::get_default_resource()->deallocate(block, bytes, alignment);
  }
  ::munmap(block, bytes);
}

}  // namespace locker::server
