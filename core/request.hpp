#pragma once

#include <cstdint>
#include <string>

#include "core/lock.hpp"
#include "core/path.hpp"

namespace locker::core {

/// One of the locks that a request asks for, or that it was granted.
struct Wanted {
  std::string packed_path;
  Shape shape;
  [[nodiscard]] PathView path() const { return PathView{packed_path}; }
};

/// Of a request that is queued.
using WaiterId = std::uint64_t;
/// The place in the queue: who has the lower one came first.
using Ticket = std::uint64_t;

}  // namespace locker::core
