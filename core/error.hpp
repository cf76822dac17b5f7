#pragma once

#include <string>

namespace locker::core {

/// What is wrong with input from a client or a file, as a sentence for people.
struct Fault {
  std::string message;
  friend bool operator==(const Fault&, const Fault&) = default;
};

}  // namespace locker::core
