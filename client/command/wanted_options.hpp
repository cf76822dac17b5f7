#pragma once

#include <optional>

#include "client/command/command_line.hpp"
#include "client/library/acquisition.hpp"

namespace locker::client {

/// The options that say what to lock and how long to wait, of `run` and `acquire`.
void add_wanted_options(options::options_description& description);

struct WantedOptions {
  Wanted wanted;  ///< Its paths stand without an option name, and are the command's business.
  std::optional<milliseconds> wait;  ///< None: for ever.
};
/// Null when a value is wrong; that was said.
[[nodiscard]] std::optional<WantedOptions> read_wanted_options(
    const options::variables_map& values);

}  // namespace locker::client
