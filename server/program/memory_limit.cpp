#include "server/program/memory_limit.hpp"

#include <algorithm>
#include <fstream>
#include <string_view>

#include "server/http/http_limits.hpp"

namespace locker::server {
namespace {

/// Returns null if there is no file, or no number in it, such as `max`. Version 1 writes "no limit"
/// as a number larger than any memory.
std::optional<std::uint64_t> read_limit(const std::string& path) {
  constexpr std::uint64_t no_limit_from = std::uint64_t{1} << 60U;
  std::ifstream file{path};
  std::uint64_t limit = 0;
  if (!(file >> limit) || limit >= no_limit_from) return std::nullopt;
  return limit;
}

/// Returns the lowest limit of the group and the groups above it. In a container the directory of
/// the group itself may be missing; the one at the top is then that of the container.
std::optional<std::uint64_t> lowest_limit(const std::string& mount, std::string group,
                                          const std::string& name) {
  std::optional<std::uint64_t> lowest;
  while (true) {
    if (const auto limit = read_limit(std::string{mount}.append(group).append("/").append(name))) {
      lowest = std::min(lowest.value_or(*limit), *limit);
    }
    const std::size_t slash = group.rfind('/');
    if (slash == std::string::npos) return lowest;
    group.resize(slash);
  }
}

bool has_memory(std::string_view controllers) {
  return ("," + std::string{controllers} + ",").find(",memory,") != std::string::npos;
}

std::uint64_t rest_of(std::uint64_t cgroup_limit) {
  return cgroup_limit - std::min(cgroup_limit, beside_what_is_held);
}

}  // namespace

std::optional<std::uint64_t> read_cgroup_limit(const std::string& root) {
  std::optional<std::uint64_t> lowest;
  std::ifstream groups{root + "/proc/self/cgroup"};
  // Each line is number:controllers:/path. In version 2 the number is 0, and no controllers are
  // named.
  for (std::string line; std::getline(groups, line);) {
    const std::size_t first = line.find(':');
    const std::size_t second = line.find(':', first + 1);
    if (first == std::string::npos || second == std::string::npos) continue;
    const std::string controllers = line.substr(first + 1, second - first - 1);
    const std::string group = line.substr(second + 1);
    std::optional<std::uint64_t> limit;
    if (controllers.empty()) {
      limit = lowest_limit(root + "/sys/fs/cgroup", group, "memory.max");
    } else if (has_memory(controllers)) {
      limit = lowest_limit(root + "/sys/fs/cgroup/memory", group, "memory.limit_in_bytes");
    }
    if (limit) lowest = std::min(lowest.value_or(*limit), *limit);
  }
  return lowest;
}

std::size_t memory_max_within(std::uint64_t cgroup_limit) {
  return std::max<std::size_t>(rest_of(cgroup_limit) / 2, memory_max_least);
}

std::size_t buffered_max_within(std::uint64_t cgroup_limit) {
  constexpr std::size_t least = std::size_t{16} << 20U;
  return std::clamp<std::size_t>(rest_of(cgroup_limit) / 8, least, HttpLimits{}.buffered_max);
}

}  // namespace locker::server
