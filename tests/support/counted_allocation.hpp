#pragma once

#include <cstddef>
#include <cstdint>

/// A program that this is linked into has its operator new replaced, and can count its calls, or
/// have them fail.
namespace locker::test {

/// Calls of operator new by all threads but those below.
[[nodiscard]] std::uint64_t allocations();
/// Bytes that all threads have at the moment.
[[nodiscard]] std::uint64_t allocated_bytes();
/// The next one of so many bytes fails, of all threads but those below; 0: none does.
void fail_next_allocation_of(std::size_t bytes);
/// The next one of this thread fails, also of aligned_alloc(), by which Asio takes its memory; or
/// the one of that number from now on; 0: none does.
void fail_next_allocation(unsigned number = 1);
/// Allocations that failed so far.
[[nodiscard]] std::uint64_t failed_allocations();
/// What this thread takes is not counted from now on.
void ignore_this_thread();

}  // namespace locker::test
