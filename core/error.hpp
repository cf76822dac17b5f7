#pragma once

#include <string>

namespace locker::core {

/// What is wrong with something a client or a file said, in a sentence for people.
struct Fault {
  std::string message;
  friend bool operator==(const Fault&, const Fault&) = default;
};

}  // namespace locker::core
