// Measures the bare cost of a durable record: 128 bytes appended to a file of zeros, and fdatasync.
// No lock server on this disk answers faster.
//
// disk_sync DIRECTORY SECONDS

#include <fcntl.h>
#include <unistd.h>

#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <string>

#include "bench/latency_histogram.hpp"

namespace {

constexpr off_t record_bytes = 128;
constexpr off_t file_bytes = off_t{16} << 20U;

[[noreturn]] void fail(const char* what) {
  std::perror(what);
  std::exit(1);
}

}  // namespace

int main(int argc, char** argv) {
  if (argc < 3) {
    std::fputs("usage: disk_sync DIRECTORY SECONDS\n", stderr);
    return 64;
  }
  const std::string path = std::string{argv[1]} + "/disk_sync.tmp";
  const int file = open(path.c_str(), O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
  if (file < 0) fail(path.c_str());
  unlink(path.c_str());
  const std::string zeros(1U << 20U, '\0');
  for (off_t at = 0; at < file_bytes; at += static_cast<off_t>(zeros.size())) {
    if (pwrite(file, zeros.data(), zeros.size(), at) < 0) fail("write");
  }
  if (fsync(file) != 0) fail("fsync");

  using Clock = std::chrono::steady_clock;
  const std::string record(record_bytes, 'x');
  locker::bench::LatencyHistogram latencies;
  const auto began = Clock::now();
  const std::chrono::duration<double> length{std::atof(argv[2])};
  for (auto now = began; now - began < length;) {
    const off_t at = record_bytes * static_cast<off_t>(latencies.count()) % file_bytes;
    if (pwrite(file, record.data(), record.size(), at) != record_bytes) fail("write");
    if (fdatasync(file) != 0) fail("fdatasync");
    const auto end = Clock::now();
    latencies.add(end - now);
    now = end;
  }
  const std::chrono::duration<double> took = Clock::now() - began;
  std::printf("{\"per_second\": %.1f, \"p50_ms\": %.4f, \"p99_ms\": %.4f, \"max_ms\": %.4f}\n",
              static_cast<double>(latencies.count()) / took.count(), latencies.milliseconds(0.5),
              latencies.milliseconds(0.99), latencies.max_milliseconds());
}
