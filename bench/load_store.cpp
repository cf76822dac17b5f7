// Makes a store with many held locks, faster than by requests to a server.
//
// load_store DIRECTORY COUNT [--snapshot]
//
// With --snapshot the store is left as a server leaves it. Without, it has only its journal: the
// time to read that is printed, and a server that opens the store writes the snapshot then. The
// locks are those of held_locks.hpp, each with a lease of its own.

#include <chrono>
#include <cstdio>
#include <iostream>
#include <random>
#include <string>

#include "bench/held_locks.hpp"
#include "core/arbiter.hpp"
#include "persistence/local_journal.hpp"
#include "persistence/posix_file_system.hpp"
#include "server/service/memory_ahead.hpp"

namespace locker::bench {
namespace {

constexpr std::uint32_t frame_records = 256;

persistence::LocalJournal::Options options_of(const std::string& directory) {
  persistence::LocalJournal::Options options;
  options.directory = directory;
  options.durability = persistence::Durability::none;
  options.background = false;
  options.random_number = [] {
    static std::random_device source;
    return std::uint64_t{source()} << 32U | source();
  };
  options.on_warning = [](std::string_view warning) { std::cerr << warning << "\n"; };
  options.on_failure = [](const core::Fault& fault) {
    std::cerr << "load_store: " << fault.message << "\n";
    std::exit(1);
  };
  return options;
}

template <typename Result>
void require(const Result& result) {
  if (result) return;
  std::cerr << "load_store: " << result.error().message << "\n";
  std::exit(1);
}

void load(const std::string& directory, std::uint64_t count, bool snapshot) {
  persistence::PosixFileSystem files;
  persistence::Recovered recovered;
  const auto journal = persistence::LocalJournal::open(
      files, options_of(directory), {[](auto, const auto&) { return true; }}, recovered);
  require(journal);
  if (recovered.last_index != 0) {
    std::cerr << "load_store: " << directory << " is not empty; name a new directory\n";
    std::exit(1);
  }
  std::string records;
  for (std::uint64_t n = 1; n <= count;) {
    records.clear();
    const std::uint64_t end = std::min<std::uint64_t>(n + frame_records, count + 1);
    const auto size = static_cast<std::uint32_t>(end - n);
    for (; n < end; ++n) {
      const core::Path path = path_number(n);
      core::append_record(core::Granted{token_number(n), {n, 0}, {}, "bench", path}, records);
    }
    require((*journal)->append(records, size));
  }
  require((*journal)->barrier());
  if (snapshot) require((*journal)->run_background());
}

double open_seconds(const std::string& directory, const persistence::RecordVisitor& visitor) {
  persistence::PosixFileSystem files;
  persistence::Recovered recovered;
  const auto began = std::chrono::steady_clock::now();
  const auto journal =
      persistence::LocalJournal::open(files, options_of(directory), visitor, recovered);
  const std::chrono::duration<double> took = std::chrono::steady_clock::now() - began;
  require(journal);
  return took.count();
}

double read_seconds(const std::string& directory) {
  return open_seconds(directory, {[](auto, const auto&) { return true; }});
}

/// Includes building the table of held locks, as the server does.
double replay_seconds(const std::string& directory) {
  server::MemoryAhead memory;
  core::Arbiter arbiter{1, {}, &memory};
  return open_seconds(directory,
                      {[&](auto, const core::Record& record) { return arbiter.replay(record); },
                       {},
                       [&](const core::Record& record) { arbiter.prefetch(record); }});
}

}  // namespace
}  // namespace locker::bench

int main(int argc, char** argv) {
  if (argc < 3) {
    std::cerr << "usage: load_store DIRECTORY COUNT [--snapshot]\n";
    return 64;
  }
  const std::string directory = argv[1];
  const std::uint64_t count = std::stoull(argv[2]);
  const bool snapshot = argc > 3 && std::string{argv[3]} == "--snapshot";
  locker::bench::load(directory, count, snapshot);
  if (snapshot) {
    std::puts("{}");
    return 0;
  }
  const double read = locker::bench::read_seconds(directory);
  const double replay = locker::bench::replay_seconds(directory);
  std::printf("{\"locks\": %llu, \"read_seconds\": %.3f, \"replay_seconds\": %.3f}\n",
              static_cast<unsigned long long>(count), read, replay);
}
