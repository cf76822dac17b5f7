#include "tests/client/pretended_names.hpp"

#include <dlfcn.h>
#include <netdb.h>

#include <atomic>
#include <chrono>
#include <thread>

namespace locker::test {
namespace {

std::atomic<bool> do_names_answer = false;

}  // namespace

void names_answer() { do_names_answer = true; }

}  // namespace locker::test

/// In the place of the C library's.
extern "C" int getaddrinfo(const char* name, const char* service, const addrinfo* hints,
                           addrinfo** found) {
  using namespace std::chrono_literals;
  static const auto look_up =
      reinterpret_cast<decltype(&getaddrinfo)>(::dlsym(RTLD_NEXT, "getaddrinfo"));
  if (name == locker::test::silent_name) {
    for (int i = 0; i < 2'000 && !locker::test::do_names_answer; ++i) {
      std::this_thread::sleep_for(10ms);
    }
    return EAI_AGAIN;
  }
  if (name != locker::test::two_addresses) return look_up(name, service, hints, found);
  const int failed = look_up("127.0.0.2", service, hints, found);
  return failed != 0 ? failed : look_up("127.0.0.1", service, hints, &(*found)->ai_next);
}
