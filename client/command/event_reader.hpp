#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace locker::client {

/// A server-sent event (the WHATWG's text/event-stream).
struct Event {
  std::string name;
  std::string data;
};

/// Puts events together from the pieces of a stream.
class EventReader {
 public:
  /// Those that are whole now.
  [[nodiscard]] std::vector<Event> take(std::string_view piece);
  /// On a new connection: what was begun on the old one is dropped.
  void begin_again() {
    rest_.clear();
    coming_ = {};
    coming_id_ = last_id_;
  }
  /// Of the last whole event, or of the place where the stream begins; what to send as
  /// Last-Event-ID.
  [[nodiscard]] const std::string& last_id() const { return last_id_; }

 private:
  void take_line(std::string_view line, std::vector<Event>& whole);

  std::string rest_;
  Event coming_;
  std::string coming_id_;
  std::string last_id_;
};

}  // namespace locker::client
