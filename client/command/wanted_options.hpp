#pragma once

#include <algorithm>
#include <chrono>
#include <optional>

#include "client/command/command_line.hpp"
#include "client/library/acquisition.hpp"

namespace locker::client {

/// Adds the options of `run` and `acquire` that say what to lock and how long to wait.
void add_wanted_options(options::options_description& description);

struct WantedOptions {
  Wanted wanted;
  std::optional<milliseconds> wait;  ///< None: for ever.

  /// How long to stay in line while the server is away: as long as the wait, at least 60 s.
  [[nodiscard]] milliseconds patience() const {
    return wait ? std::max(*wait, milliseconds{60'000}) : std::chrono::years{10};
  }
};
/// Null if a value is wrong, which has been printed.
[[nodiscard]] std::optional<WantedOptions> read_wanted_options(
    const options::variables_map& values);

}  // namespace locker::client
