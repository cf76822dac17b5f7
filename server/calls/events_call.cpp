#include "server/calls/events_call.hpp"

#include <optional>
#include <string>

#include "server/calls/call_reader.hpp"
#include "server/calls/error_answer.hpp"

namespace locker::server {

void answer_events(LockService& service, std::string_view query, const Request& request,
                   Response& response) {
  if (!request.reads())
    return answer_wrong_method("GET, HEAD", "Use GET, HEAD for this call.", response);
  std::optional<std::string> prefix;
  CallReader read{request};
  read.parameters(query).only("prefix").prefix(prefix);
  if (read.refused(response)) return;
  response.stream = service.events().follow(prefix.value_or(""), request.last_event_id);
  if (!response.stream) {
    return answer_error(503, "too_many_event_readers",
                        "As many clients follow events as may (--event-readers-max, or an eighth "
                        "of --connections-max); try again later.",
                        response);
  }
  response.content_type = "text/event-stream";
  // A proxy like nginx would else collect kilobytes before it passes on the first one.
  response.other_fields = "Cache-Control: no-store\r\nX-Accel-Buffering: no\r\n";
}

}  // namespace locker::server
