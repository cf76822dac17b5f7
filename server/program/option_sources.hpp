#pragma once

#include <string>
#include <vector>

#include <boost/program_options/options_description.hpp>
#include <boost/program_options/variables_map.hpp>

namespace locker::server {

// The sources of options, in the order of precedence: the command line, the environment
// (LOCKER_PORT for --port), and the config file that one of these names.

/// Reads all sources and notifies `values`. Throws the exceptions of Boost, with a message for the
/// author of the option.
void read_option_sources(int argc, const char* const* argv,
                         const boost::program_options::options_description& all,
                         boost::program_options::variables_map& values);

/// Returns the environment variables that look like options but are none, perhaps because they are
/// mistyped.
[[nodiscard]] std::vector<std::string> find_unknown_variables(
    const boost::program_options::options_description& all);

/// Whether errors are to be reported as JSON, as far as that is known before all options have been
/// checked.
[[nodiscard]] bool asks_for_json(int argc, const char* const* argv,
                                 const boost::program_options::variables_map& values);

}  // namespace locker::server
