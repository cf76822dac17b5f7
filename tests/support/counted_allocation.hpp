#pragma once

#include <cstddef>
#include <cstdint>

/// Replaces operator new in the program that it is linked into, to count its calls or make them
/// fail.
namespace locker::test {

/// Returns the number of calls of operator new by all threads except ignored ones.
[[nodiscard]] std::uint64_t allocations();
/// Returns the number of bytes that all threads have allocated at the moment.
[[nodiscard]] std::uint64_t allocated_bytes();
/// Makes the next allocation of this size fail, on any thread except ignored ones; 0: none.
void fail_next_allocation_of(std::size_t bytes);
/// Makes this thread's next allocation fail, or the n-th one from the call on; 0: none. Includes
/// aligned_alloc(), which Asio uses.
void fail_next_allocation(unsigned number = 1);
/// Returns the number of allocations that were made to fail.
[[nodiscard]] std::uint64_t failed_allocations();
/// Exempts this thread's allocations from then on.
void ignore_this_thread();

}  // namespace locker::test
