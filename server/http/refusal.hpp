#pragma once

#include <string_view>

namespace locker::server {

/// Why a request is not passed to the handler. The connection is closed afterwards: where the next
/// request would begin is uncertain, and guessing is how requests are smuggled.
struct Refusal {
  unsigned status = 400;
  std::string_view code;
  std::string_view message;
};

}  // namespace locker::server
