#pragma once

#include <cstdint>
#include <string_view>

#include "server/http/http_limits.hpp"
#include "server/http/refusal.hpp"
#include "server/request_handler.hpp"

namespace locker::server {

struct RequestHeader {
  Request request;  ///< Without its body.
  std::uint64_t content_length = 0;
  int version = 11;
  bool is_chunked = false;  ///< Then there is no Content-Length.
  bool wants_continue = false;
  bool keep_alive = true;  ///< Wanted by the client, by the rules of its HTTP version.
};

/// Parses a whole header, from the request line to the empty line. Also refuses what two programs
/// could read differently. Returns null on success; the views in `header` then point into `bytes`.
[[nodiscard]] const Refusal* parse_header(std::string_view bytes, const HttpLimits& limits,
                                          RequestHeader& header);

}  // namespace locker::server
