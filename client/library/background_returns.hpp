#pragma once

#include <sys/types.h>
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <functional>
#include <list>
#include <mutex>
#include <string>
#include <vector>

namespace locker::client {

/// Background threads that retry releases which got no answer, for locks that would otherwise stay
/// held. Each retries until the server answers or this process ends. Thread-safe.
class BackgroundReturns {
 public:
  /// The instance of this process.
  static BackgroundReturns& all();
  BackgroundReturns(const BackgroundReturns&) = delete;
  BackgroundReturns& operator=(const BackgroundReturns&) = delete;

  /// Starts a thread that calls `is_answered` until it returns true. `is_answered` asks the server
  /// once to release these paths of the lease, and returns whether it answered. Does nothing if no
  /// thread can be started.
  void begin(const std::string& token, std::vector<std::string> paths,
             std::function<bool()> is_answered);
  /// Ends the threads that release one of these paths of the lease, which wants it again and must
  /// be able to keep it. Blocks until they have ended.
  void end_those_of(const std::string& token, const std::vector<std::string>& paths);

 private:
  struct Return {
    std::string token;
    std::vector<std::string> paths;
    bool is_over = false;
  };

  BackgroundReturns();
  ~BackgroundReturns();
  void work(std::list<Return>::iterator entry, std::function<bool()> is_answered);
  [[nodiscard]] bool is_over_after(std::chrono::milliseconds wait, const Return& entry);
  void end_those(const std::function<bool(const Return&)>& is_meant);

  static inline std::atomic<bool> are_over_ = false;  // a static lock may outlive this object
  const pid_t process_ = ::getpid();
  std::mutex mutex_;
  std::condition_variable changed_;  // an entry is over, or gone
  std::list<Return> returns_;
};

}  // namespace locker::client
