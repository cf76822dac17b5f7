// Measures how many bytes a held lock costs, everything included. Prints resident memory before and
// after, at 1 and at 10 million locks.

#include <cstdio>
#include <fstream>
#include <initializer_list>
#include <string>

#include "bench/held_locks.hpp"

namespace {

double resident_bytes() {
  std::ifstream status{"/proc/self/status"};
  for (std::string line; std::getline(status, line);) {
    if (line.starts_with("VmRSS:")) return std::stod(line.substr(6)) * 1024;
  }
  return 0;
}

}  // namespace

int main() {
  for (const std::uint64_t count : {1'000'000ULL, 10'000'000ULL}) {
    const double before = resident_bytes();
    locker::core::LockTable table{1};
    locker::bench::hold(table, count);
    std::printf("%10llu locks: %.0f bytes each\n", static_cast<unsigned long long>(count),
                (resident_bytes() - before) / static_cast<double>(count));
  }
}
