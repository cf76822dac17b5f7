#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>

namespace locker::server {

/// How many bytes the cgroup of this process, or one above it, lets it have; null: there is no
/// limit, or none that can be read. Of both versions. `root` is where the system's files are.
[[nodiscard]] std::optional<std::uint64_t> read_cgroup_limit(const std::string& root = "");

/// The least that --memory-max may be: what is remembered of locks that ended takes up to half of
/// it.
inline constexpr std::size_t memory_max_least = std::size_t{32} << 20U;

/// The program, the last events, which are 25 MB at most, and requests under way. With short paths,
/// of four clients that send 256 locks with 3 KB of meta at a time, and one force of all of them,
/// as was measured.
inline constexpr std::uint64_t beside_what_is_held = std::uint64_t{64} << 20U;

/// What --memory-max is where nobody says it: half of what is left beside that. In a group of less
/// than 128 MiB even memory_max_least is more.
[[nodiscard]] std::size_t memory_max_within(std::uint64_t cgroup_limit);

/// What HttpLimits::buffered_max is then: a quarter of the other half, but 256 MiB at most, and 16
/// at least, by which sixteen of the largest requests can be under way at once. What is left is for
/// idle connections, 5 KB each, 20 by TLS, and for memory that was freed and fits nothing new.
[[nodiscard]] std::size_t buffered_max_within(std::uint64_t cgroup_limit);

}  // namespace locker::server
