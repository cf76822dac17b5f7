#include "tests/support/counted_allocation.hpp"

#include <atomic>
#include <cstddef>
#include <cstdlib>
#include <new>

namespace {

std::atomic<std::uint64_t> counted = 0;
thread_local bool is_ignored = false;

void* count(void* memory) {
  if (memory == nullptr) throw std::bad_alloc{};
  if (!is_ignored) counted.fetch_add(1, std::memory_order_relaxed);
  return memory;
}

}  // namespace

// Those for arrays and without exceptions call these.
void* operator new(std::size_t size) { return count(std::malloc(size == 0 ? 1 : size)); }
void* operator new(std::size_t size, std::align_val_t alignment) {
  const auto step = static_cast<std::size_t>(alignment);
  return count(std::aligned_alloc(step, (size + step - 1) / step * step));
}
void operator delete(void* memory) noexcept { std::free(memory); }
void operator delete(void* memory, std::size_t) noexcept { std::free(memory); }
void operator delete(void* memory, std::align_val_t) noexcept { std::free(memory); }
void operator delete(void* memory, std::size_t, std::align_val_t) noexcept { std::free(memory); }

namespace locker::test {

std::uint64_t allocations() { return counted.load(); }

void ignore_this_thread() { is_ignored = true; }

}  // namespace locker::test
