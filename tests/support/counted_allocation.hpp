#pragma once

#include <cstdint>

/// A program that this is linked into has its operator new replaced, and can count its calls.
namespace locker::test {

/// Calls of operator new by all threads but those below.
[[nodiscard]] std::uint64_t allocations();
/// What this thread takes is not counted from now on.
void ignore_this_thread();

}  // namespace locker::test
