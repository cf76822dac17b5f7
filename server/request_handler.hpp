#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace locker::server {

enum class Method : std::uint8_t { get, head, post, put, delete_, other };

/// One HTTP request, checked as HTTP and not yet as anything else. The views point into the
/// connection's read buffer and are good until the handler returns.
struct Request {
  Method method = Method::get;
  std::string_view method_name;
  std::string_view target;  ///< Origin form, printable ASCII, at most 8 KiB: path, `?`, query.
  std::string_view body;
  std::string_view content_type;
  std::string_view accept;
  std::string_view authorization;
  std::string_view lock_token;      ///< Header Lock-Token.
  std::string_view last_event_id;   ///< Header Last-Event-ID.
  std::string_view sec_fetch_site;  ///< Sent by browsers: who caused the request.
  std::string_view sec_purpose;     ///< Sent by browsers (also as Purpose): a prefetch.
};

/// One answer without its framing (Date, Content-Length, Connection), which the connection adds.
/// Reused from request to request, so that the body's memory is.
struct Response {
  unsigned status = 200;
  std::string_view content_type = "application/json";  ///< Must be of static lifetime.
  std::string_view allow;                              ///< Header Allow, when not empty; static.
  bool retry_after = false;                            ///< Adds `Retry-After: 1`.
  std::string body;
  /// The journal index whose durability this answer waits for; 0 waits for nothing.
  std::uint64_t index = 0;
};

/// Who decides what a request gets. Called from any thread, must not block.
class RequestHandler {
 public:
  virtual ~RequestHandler() = default;
  /// Fills in `response`, which comes in as a fresh one but for its body's capacity.
  virtual void answer(const Request& request, Response& response) = 0;
};

}  // namespace locker::server
