#pragma once

#include <string>

#include <boost/asio/steady_timer.hpp>

#include "client/library/acquisition.hpp"

namespace locker::client {

/// Says on stderr, while a lock is waited for, who holds it and how long the line is. On a terminal
/// it is one line that changes; else a new line when something else is to be said.
class WaitingLine {
 public:
  WaitingLine(net::io_context& io_context, const ServerAddress& server, const Wanted& wanted);
  WaitingLine(const WaitingLine&) = delete;
  WaitingLine& operator=(const WaitingLine&) = delete;

  /// Until stop(); silent for the first moment, in which most locks are granted.
  [[nodiscard]] net::awaitable<void> async_run();
  /// Clears the line.
  void stop();
  /// The server cannot be asked at the moment, and is asked again.
  void say_trouble(const Failure& failure);

 private:
  void say(const std::string& text, const std::string& same);

  HttpClient client_;
  net::steady_timer timer_;
  const Call look_;
  const std::string path_;
  const std::string owner_;
  const bool is_terminal_;
  std::string said_;  // without the times, which always change
  bool is_stopped_ = false;
};

/// Acquires, and says who is waited for if `says`. Blocks; for `acquire`.
[[nodiscard]] Result<Grant> acquire_and_say(const ServerAddress& server, const Wanted& wanted,
                                            Acquisition::Options how, bool says);

}  // namespace locker::client
