#pragma once

#include <string>

#include <boost/asio/steady_timer.hpp>

#include "client/library/acquisition.hpp"

namespace locker::client {

/// Prints to stderr, during a wait, who holds the lock and how long the queue is. On a terminal it
/// updates one line; elsewhere it prints a new line when something has changed.
class WaitingLine {
 public:
  WaitingLine(net::io_context& io_context, const ServerAddress& server, const Wanted& wanted);
  WaitingLine(const WaitingLine&) = delete;
  WaitingLine& operator=(const WaitingLine&) = delete;

  /// Runs until stop(). Silent for the first 300 ms, in which most locks are granted.
  [[nodiscard]] net::awaitable<void> async_run();
  /// Ends async_run() and clears the line.
  void stop();
  /// Reports a failure that is retried.
  void say_trouble(const Failure& failure);

 private:
  void say(const std::string& text, const std::string& same);

  HttpClient client_;
  net::steady_timer timer_;
  const Call look_;
  const std::string path_;
  const std::string owner_;
  const bool is_terminal_;
  std::string said_;  // the last text, without the times, which always change
  bool is_stopped_ = false;
};

/// Acquires for `locker acquire`, with a WaitingLine if `says`. Blocks.
[[nodiscard]] Result<Grant> acquire_and_say(const ServerAddress& server, const Wanted& wanted,
                                            Acquisition::Options how, bool says);

}  // namespace locker::client
