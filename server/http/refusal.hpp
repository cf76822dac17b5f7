#pragma once

#include <string_view>

namespace locker::server {

/// Why a request is not given to the handler. After one the connection is closed: where the next
/// request would begin is not known for sure, and guessing is how requests are smuggled.
struct Refusal {
  unsigned status = 400;
  std::string_view code;
  std::string_view message;
};

}  // namespace locker::server
