#include "server/calls/events_call.hpp"

#include <optional>
#include <string>

#include "server/calls/call_reader.hpp"
#include "server/calls/error_answer.hpp"

namespace locker::server {

void answer_events(LockService& service, const Request& request, Response& response) {
  if (!request.reads())
    return answer_wrong_method("GET, HEAD", "Use GET, HEAD for this call.", response);
  std::optional<std::string> prefix;
  CallReader read{request};
  read.parameters().only("prefix").prefix(prefix);
  if (read.refused(response)) return;
  response.stream = service.events().follow(prefix.value_or(""), request.last_event_id);
  if (!response.stream) {
    return answer_error(503, "too_many_event_readers",
                        "Too many clients are reading events (--event-readers-max, or "
                        "an eighth of --connections-max); try again later.",
                        response);
  }
  response.content_type = "text/event-stream";
  // Otherwise a proxy such as nginx buffers kilobytes before it forwards the first event.
  response.other_fields = "Cache-Control: no-store\r\nX-Accel-Buffering: no\r\n";
}

}  // namespace locker::server
