#include "server/prometheus/process_metrics.hpp"

#include <dirent.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <unistd.h>

#include <cstdio>
#include <fstream>
#include <iterator>
#include <optional>
#include <sstream>
#include <string>

namespace locker::server {
namespace {

using Type = PrometheusText::Type;

double seconds_of(const timeval& time) {
  return static_cast<double>(time.tv_sec) + static_cast<double>(time.tv_usec) / 1e6;
}

std::string read_text(const char* path) {
  std::ifstream file{path};
  return {std::istreambuf_iterator<char>{file}, {}};
}

/// In pages: mapped, and of these in memory.
struct Memory {
  std::uint64_t mapped = 0;
  std::uint64_t resident = 0;
};

std::optional<Memory> read_memory() {
  std::istringstream text{read_text("/proc/self/statm")};
  Memory memory;
  if (text >> memory.mapped >> memory.resident) return memory;
  return std::nullopt;
}

std::optional<std::uint64_t> count_descriptors() {
  constexpr const char* path = "/proc/self/fd";
  struct stat status {};
  // Since Linux 6.2 the size of the directory is the number of descriptors.
  if (::stat(path, &status) == 0 && status.st_size > 0) {
    return static_cast<std::uint64_t>(status.st_size);
  }
  DIR* const directory = ::opendir(path);
  if (directory == nullptr) return std::nullopt;
  std::uint64_t count = 0;
  while (::readdir(directory) != nullptr) ++count;
  ::closedir(directory);
  return count > 3 ? count - 3 : 0;  // ".", "..", and the directory itself
}

std::optional<double> read_start() {
  // The second field is the program's name in parentheses, which can contain any character.
  const std::string stat = read_text("/proc/self/stat");
  const std::size_t name_end = stat.rfind(')');
  if (name_end == std::string::npos) return std::nullopt;
  std::istringstream fields{stat.substr(name_end + 1)};
  std::string skipped;
  constexpr int fields_before = 19;  // from the third to the twenty-first
  for (int i = 0; i < fields_before; ++i) fields >> skipped;
  double ticks = 0;  // since the machine started
  if (!(fields >> ticks)) return std::nullopt;
  std::istringstream lines{read_text("/proc/stat")};
  for (std::string word; lines >> word;) {
    double boot = 0;
    if (word == "btime" && lines >> boot) {
      return boot + ticks / static_cast<double>(::sysconf(_SC_CLK_TCK));
    }
  }
  return std::nullopt;
}

}  // namespace

void write_process_metrics(PrometheusText& text) {
  rusage usage{};
  if (::getrusage(RUSAGE_SELF, &usage) == 0) {
    text.add_one("process_cpu_seconds_total", Type::counter,
                 "CPU time that the process has used, user and system.",
                 seconds_of(usage.ru_utime) + seconds_of(usage.ru_stime));
  }
  if (const auto memory = read_memory()) {
    const auto page = static_cast<std::uint64_t>(::sysconf(_SC_PAGESIZE));
    text.add_one("process_resident_memory_bytes", Type::gauge, "Memory in use.",
                 memory->resident * page);
    text.add_one("process_virtual_memory_bytes", Type::gauge, "Address space in use.",
                 memory->mapped * page);
  }
  if (const auto open = count_descriptors()) {
    text.add_one("process_open_fds", Type::gauge, "Open file descriptors.", *open);
  }
  rlimit limit{};
  if (::getrlimit(RLIMIT_NOFILE, &limit) == 0) {
    text.add_one("process_max_fds", Type::gauge, "The limit of open file descriptors.",
                 static_cast<double>(limit.rlim_cur));
  }
  if (const auto start = read_start()) {
    text.add_one("process_start_time_seconds", Type::gauge,
                 "When the process started, in seconds since 1970.", *start);
  }
}

}  // namespace locker::server
