#include "client/command/event_reader.hpp"

namespace locker::client {

std::vector<Event> EventReader::take(std::string_view piece) {
  rest_ += piece;
  std::vector<Event> whole;
  std::size_t begin = 0;
  for (std::size_t end = 0; (end = rest_.find('\n', begin)) != std::string::npos; begin = end + 1) {
    take_line(std::string_view{rest_}.substr(begin, end - begin), whole);
  }
  rest_.erase(0, begin);
  return whole;
}

void EventReader::take_line(std::string_view line, std::vector<Event>& whole) {
  if (line.ends_with('\r')) line.remove_suffix(1);
  if (line.empty()) {
    if (!coming_id_.empty())
      last_id_ = coming_id_;  // also without an event: the point at which the stream begins
    if (!coming_.name.empty()) whole.push_back(coming_);
    coming_ = {};
    return;
  }
  const std::size_t colon = line.find(':');
  const std::string_view field = line.substr(0, colon);
  std::string_view value = colon == std::string_view::npos ? "" : line.substr(colon + 1);
  if (value.starts_with(' ')) value.remove_prefix(1);
  if (field == "event") coming_.name = value;
  if (field == "id") coming_id_ = value;
  if (field == "data") coming_.data += value;
}

}  // namespace locker::client
