#pragma once

#include <string>
#include <vector>

#include <boost/program_options/options_description.hpp>
#include <boost/program_options/variables_map.hpp>

namespace locker::server {

// The places where options come from: the command line, the environment (LOCKER_PORT for --port),
// and the config file that one of these names. The first one that has an option wins.

/// Reads them all, and notifies those who want the values. Throws what Boost throws, with a
/// sentence for who wrote the option.
void read_option_sources(int argc, const char* const* argv,
                         const boost::program_options::options_description& all,
                         boost::program_options::variables_map& values);

/// Variables of the environment that look like an option's, and are none's: perhaps mistyped.
[[nodiscard]] std::vector<std::string> find_unknown_variables(
    const boost::program_options::options_description& all);

/// Whether mistakes are to be told as JSON, as far as that is known before all options are good.
[[nodiscard]] bool asks_for_json(int argc, const char* const* argv,
                                 const boost::program_options::variables_map& values);

}  // namespace locker::server
