#pragma once

#include <cstdint>
#include <string_view>

#include "server/http/http_limits.hpp"
#include "server/http/refusal.hpp"
#include "server/request_handler.hpp"

namespace locker::server {

struct RequestHeader {
  Request request;  ///< But for its body.
  std::uint64_t content_length = 0;
  int version = 11;
  bool is_chunked = false;  ///< Then there is no Content-Length.
  bool wants_continue = false;
  bool keep_alive = true;  ///< The client wants it, by the rules of its version of HTTP.
};

/// Reads a whole header, from the request line to the empty line. Refuses also what two programs
/// could read differently. Null: the header is there, with views into the bytes.
[[nodiscard]] const Refusal* parse_header(std::string_view bytes, const HttpLimits& limits,
                                          RequestHeader& header);

}  // namespace locker::server
