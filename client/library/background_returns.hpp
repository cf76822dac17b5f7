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

/// Threads that give back what could not be given back for want of an answer, and would stay held.
/// Each goes on until there is one, or this process ends. Thread-safe.
class BackgroundReturns {
 public:
  /// Those of this process.
  static BackgroundReturns& all();
  BackgroundReturns(const BackgroundReturns&) = delete;
  BackgroundReturns& operator=(const BackgroundReturns&) = delete;

  /// `is_answered` asks the server once for an end of these paths of the lease, and says whether it
  /// has answered. Nothing happens if no thread is to be had.
  void begin(const std::string& token, std::vector<std::string> paths,
             std::function<bool()> is_answered);
  /// One of these paths is wanted again by the same lease, which shall keep it then. Blocks until
  /// nobody gives it back any more.
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

  static inline std::atomic<bool> are_over_ = false;  // a lock may outlive this, at the very end
  const pid_t process_ = ::getpid();
  std::mutex mutex_;
  std::condition_variable changed_;  // an entry is over, or gone
  std::list<Return> returns_;
};

}  // namespace locker::client
