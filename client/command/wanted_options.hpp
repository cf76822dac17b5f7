#pragma once

#include <algorithm>
#include <chrono>
#include <optional>

#include "client/command/command_line.hpp"
#include "client/library/acquisition.hpp"

namespace locker::client {

/// The options that say what to lock and how long to wait, of `run` and `acquire`.
void add_wanted_options(options::options_description& description);

struct WantedOptions {
  Wanted wanted;
  std::optional<milliseconds> wait;  ///< None: for ever.

  /// Who stands in line stays there while the server is away, for as long as it would wait.
  [[nodiscard]] milliseconds patience() const {
    return wait ? std::max(*wait, milliseconds{60'000}) : std::chrono::years{10};
  }
};
/// Null when a value is wrong; that was said.
[[nodiscard]] std::optional<WantedOptions> read_wanted_options(
    const options::variables_map& values);

}  // namespace locker::client
