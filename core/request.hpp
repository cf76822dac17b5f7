#pragma once

#include <cstdint>
#include <string>

#include "core/lock.hpp"
#include "core/path.hpp"

namespace locker::core {

/// A lock that a request asks for, or that it was granted.
struct Wanted {
  std::string packed_path;
  Shape shape;
  [[nodiscard]] PathView path() const { return PathView{packed_path}; }
};

/// Identifies a queued request.
using WaiterId = std::uint64_t;
/// A place in the queue: the request with the lower ticket came first.
using Ticket = std::uint64_t;

}  // namespace locker::core
