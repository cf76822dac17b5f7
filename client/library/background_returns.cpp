#include "client/library/background_returns.hpp"

#include <openssl/ssl.h>

#include <algorithm>
#include <exception>
#include <system_error>
#include <thread>
#include <utility>

namespace locker::client {
namespace {

using std::chrono::milliseconds;

constexpr milliseconds first_pause{50};
constexpr milliseconds longest_pause{1'000};

}  // namespace

BackgroundReturns& BackgroundReturns::all() {
  static BackgroundReturns returns;
  return returns;
}

/// Initialises OpenSSL first, so that it cleans up at exit only after the threads have ended.
BackgroundReturns::BackgroundReturns() { ::OPENSSL_init_ssl(0, nullptr); }

BackgroundReturns::~BackgroundReturns() {
  end_those([](const Return&) { return true; });
  are_over_ = true;
}

void BackgroundReturns::begin(const std::string& token, std::vector<std::string> paths,
                              std::function<bool()> is_answered) {
  if (are_over_) return;  // a static lock may be destroyed after us
  const std::lock_guard lock{mutex_};
  const auto entry = returns_.insert(returns_.end(), Return{token, std::move(paths)});
  try {
    std::thread{&BackgroundReturns::work, this, entry, std::move(is_answered)}.detach();
  } catch (const std::system_error&) {  // no thread can be started
    returns_.erase(entry);
  }
}

void BackgroundReturns::end_those_of(const std::string& token,
                                     const std::vector<std::string>& paths) {
  end_those([&](const Return& each) {
    return each.token == token && std::find_first_of(paths.begin(), paths.end(), each.paths.begin(),
                                                     each.paths.end()) != paths.end();
  });
}

void BackgroundReturns::work(std::list<Return>::iterator entry, std::function<bool()> is_answered) {
  try {
    for (milliseconds wait = first_pause; !is_over_after(wait, *entry);
         wait = std::min(wait * 2, longest_pause)) {
      if (is_answered()) break;
    }
  } catch (const std::exception&) {
    // Out of memory.
  }
  is_answered = {};  // destroys what it captured before the process may end
  const std::lock_guard lock{mutex_};
  returns_.erase(entry);
  changed_.notify_all();
}

bool BackgroundReturns::is_over_after(milliseconds wait, const Return& entry) {
  std::unique_lock lock{mutex_};
  return changed_.wait_for(lock, wait, [&entry] { return entry.is_over; });
}

void BackgroundReturns::end_those(const std::function<bool(const Return&)>& is_meant) {
  if (are_over_ || process_ != ::getpid()) return;  // a forked child has none of the threads
  std::unique_lock lock{mutex_};
  for (Return& each : returns_) each.is_over = each.is_over || is_meant(each);
  changed_.notify_all();
  changed_.wait(lock, [&] { return std::none_of(returns_.begin(), returns_.end(), is_meant); });
}

}  // namespace locker::client
