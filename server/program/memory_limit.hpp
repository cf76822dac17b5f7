#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>

namespace locker::server {

/// Returns the memory limit, in bytes, of the cgroup of this process and of those above it; null if
/// there is none, or none that can be read. Supports cgroup versions 1 and 2. `root` is the
/// directory that contains /proc and /sys.
[[nodiscard]] std::optional<std::uint64_t> read_cgroup_limit(const std::string& root = "");

/// The minimum of --memory-max: the memory of ended locks takes up to half of it.
inline constexpr std::size_t memory_max_least = std::size_t{32} << 20U;

/// Memory for the program, the latest events (25 MB at most) and requests in progress. Measured
/// with short paths, four clients that send 256 locks with 3 KB of meta at a time, and one force of
/// all of these locks.
inline constexpr std::uint64_t beside_what_is_held = std::uint64_t{64} << 20U;

/// Returns the default of --memory-max: half of what is left after beside_what_is_held, and at
/// least memory_max_least. In a group of less than 128 MiB even that is more than half.
[[nodiscard]] std::size_t memory_max_within(std::uint64_t cgroup_limit);

/// Returns HttpLimits::buffered_max for this limit: a quarter of the other half, at most 256 MiB,
/// and at least 16 MiB, which suffices for sixteen of the largest requests at a time. The rest is
/// for idle connections (5 KB each, 20 KB with TLS) and for heap fragmentation.
[[nodiscard]] std::size_t buffered_max_within(std::uint64_t cgroup_limit);

}  // namespace locker::server
