#pragma once

#include <string>

namespace locker::test {

/// Nobody answers who asks for this name, until names_answer().
inline const std::string silent_name = "silent.test";
void names_answer();

/// A name of two addresses: 127.0.0.2, and then 127.0.0.1.
inline const std::string two_addresses = "two.test";

}  // namespace locker::test
