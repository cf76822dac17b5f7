#pragma once

#include <chrono>

namespace locker::test {

/// From now on this process and those that it has forked find that the machine was suspended for so
/// long: CLOCK_BOOTTIME has gone on, CLOCK_MONOTONIC has not.
void suspend(std::chrono::seconds time);

}  // namespace locker::test
