#include "tests/support/counted_allocation.hpp"

#include <malloc.h>

#include <atomic>
#include <cstddef>
#include <cstdlib>
#include <new>

namespace {

std::atomic<std::uint64_t> counted = 0;
std::atomic<std::uint64_t> bytes_held = 0;
std::atomic<std::uint64_t> failed = 0;
std::atomic<std::size_t> failing_bytes = 0;
thread_local bool is_ignored = false;
thread_local unsigned fails_in = 0;

bool has_to_fail(std::size_t bytes) {
  std::size_t failing = bytes;
  const bool is_of_size =
      !is_ignored && bytes != 0 && failing_bytes.compare_exchange_strong(failing, 0);
  const bool is_that_one = fails_in != 0 && --fails_in == 0;
  if (!is_that_one && !is_of_size) return false;
  ++failed;
  return true;
}

void* aligned(std::size_t alignment, std::size_t bytes) {
  void* memory = nullptr;
  return ::posix_memalign(&memory, alignment, bytes) == 0 ? memory : nullptr;
}

void* count(void* memory) {
  if (memory == nullptr) throw std::bad_alloc{};
  bytes_held.fetch_add(::malloc_usable_size(memory), std::memory_order_relaxed);
  if (!is_ignored) counted.fetch_add(1, std::memory_order_relaxed);
  return memory;
}

void give_back(void* memory) {
  bytes_held.fetch_sub(::malloc_usable_size(memory), std::memory_order_relaxed);
  std::free(memory);
}

}  // namespace

// The operators for arrays and without exceptions call these.
void* operator new(std::size_t size) {
  return count(has_to_fail(size) ? nullptr : std::malloc(size == 0 ? 1 : size));
}
void* operator new(std::size_t size, std::align_val_t alignment) {
  return count(has_to_fail(size) ? nullptr : aligned(static_cast<std::size_t>(alignment), size));
}
void operator delete(void* memory) noexcept { give_back(memory); }
void operator delete(void* memory, std::size_t) noexcept { give_back(memory); }
void operator delete(void* memory, std::align_val_t) noexcept { give_back(memory); }
void operator delete(void* memory, std::size_t, std::align_val_t) noexcept { give_back(memory); }

extern "C" void* aligned_alloc(std::size_t alignment, std::size_t size) noexcept {
  return has_to_fail(size) ? nullptr : aligned(alignment, size);
}

namespace locker::test {

std::uint64_t allocations() { return counted.load(); }

std::uint64_t allocated_bytes() { return bytes_held.load(); }

void fail_next_allocation_of(std::size_t bytes) { failing_bytes = bytes; }

void fail_next_allocation(unsigned number) { fails_in = number; }

std::uint64_t failed_allocations() { return failed.load(); }

void ignore_this_thread() { is_ignored = true; }

}  // namespace locker::test
