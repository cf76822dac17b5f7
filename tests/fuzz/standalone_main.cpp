// Runs a fuzz target without a fuzzer: the files of a corpus, then random mutations of them.
//
//   request_parser_fuzz CORPUS-DIRECTORY    LOCKER_SEED chooses the mutations
//   request_parser_fuzz FILE…               to see a finding again

#include <algorithm>
#include <chrono>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <random>
#include <string>
#include <vector>

#include <fcntl.h>
#include <unistd.h>

#include "tests/fuzz/fuzz_input.hpp"

namespace {

constexpr int mutations = 20'000;
constexpr auto longest = std::chrono::seconds{5};

std::string current;  // the input that is tried

// Only calls that a signal handler may make.
void keep_input(int signal) {
  const int file = ::open("fuzz-finding", O_CREAT | O_TRUNC | O_WRONLY, 0600);
  if (file >= 0) {
    static_cast<void>(!::write(file, current.data(), current.size()));
    ::close(file);
    static constexpr char said[] = "The input is in the file fuzz-finding.\n";
    static_cast<void>(!::write(STDERR_FILENO, said, sizeof said - 1));
  }
  std::signal(signal, SIG_DFL);
  std::raise(signal);
}

void run(std::string input) {
  current = std::move(input);
  LLVMFuzzerTestOneInput(reinterpret_cast<const std::uint8_t*>(current.data()), current.size());
}

std::string read(const std::filesystem::path& path) {
  std::ifstream file{path, std::ios::binary};
  return {std::istreambuf_iterator<char>{file}, {}};
}

std::string mutate(const std::vector<std::string>& corpus, std::mt19937_64& random) {
  std::string input = corpus[random() % corpus.size()];
  for (std::uint64_t times = 1 + random() % 4; times > 0; --times) {
    const std::size_t at = random() % (input.size() + 1);
    switch (random() % 5) {
      case 0:
        if (at < input.size()) input[at] = static_cast<char>(random());
        break;
      case 1:
        input.insert(at, 1, static_cast<char>(random()));
        break;
      case 2:
        input.erase(at, random() % 8);
        break;
      case 3: {
        const std::string& other = corpus[random() % corpus.size()];
        input.insert(at, other.substr(random() % (other.size() + 1), random() % 64));
        break;
      }
      default:
        if (at < input.size()) input[at] = static_cast<char>(input[at] ^ (1 << random() % 8));
    }
  }
  return input;
}

}  // namespace

int main(int count, char** arguments) {
  std::signal(SIGABRT, keep_input);
  std::signal(SIGSEGV, keep_input);
  std::vector<std::string> corpus;
  bool is_corpus = false;
  for (int i = 1; i < count; ++i) {
    std::vector<std::filesystem::path> files{arguments[i]};
    if (std::filesystem::is_directory(files[0])) {
      is_corpus = true;
      const std::filesystem::directory_iterator entries{files[0]};
      files.clear();
      for (const auto& entry : entries) files.push_back(entry.path());
      std::sort(files.begin(), files.end());
    }
    for (const auto& file : files) run(corpus.emplace_back(read(file)));
  }
  if (corpus.empty()) {
    std::fprintf(stderr, "Name a corpus directory, or files.\n");
    return 64;
  }
  if (!is_corpus) return 0;
  const char* const given = std::getenv("LOCKER_SEED");
  const std::uint64_t seed =
      given == nullptr ? std::random_device{}() : std::strtoull(given, nullptr, 10);
  std::printf("%zu files; LOCKER_SEED=%llu\n", corpus.size(),
              static_cast<unsigned long long>(seed));
  std::fflush(stdout);
  std::mt19937_64 random{seed};
  const auto until = std::chrono::steady_clock::now() + longest;
  int done = 0;
  while (done < mutations && std::chrono::steady_clock::now() < until) {
    run(mutate(corpus, random));
    ++done;
  }
  std::printf("%d mutations\n", done);
  return 0;
}
