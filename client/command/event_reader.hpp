#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace locker::client {

/// A server-sent event (WHATWG's text/event-stream).
struct Event {
  std::string name;
  std::string data;
};

/// Assembles events from the pieces of a stream.
class EventReader {
 public:
  /// Appends a piece; returns the events that are now complete.
  [[nodiscard]] std::vector<Event> take(std::string_view piece);
  /// For a new connection: drops an event that is incomplete.
  void begin_again() {
    rest_.clear();
    coming_ = {};
    coming_id_ = last_id_;
  }
  /// The id to send as Last-Event-ID: of the last complete event, or of the point at which the
  /// stream began.
  [[nodiscard]] const std::string& last_id() const { return last_id_; }

 private:
  void take_line(std::string_view line, std::vector<Event>& whole);

  std::string rest_;
  Event coming_;
  std::string coming_id_;
  std::string last_id_;
};

}  // namespace locker::client
