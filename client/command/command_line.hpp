#pragma once

#include <string>
#include <variant>
#include <vector>

#include <boost/program_options/options_description.hpp>
#include <boost/program_options/positional_options.hpp>
#include <boost/program_options/variables_map.hpp>

#include "client/command/exit_code.hpp"
#include "client/library/server_address.hpp"

namespace locker::client {

namespace options = boost::program_options;
using Arguments = std::vector<std::string>;

/// What one command accepts.
struct CommandLine {
  std::string help;                       ///< What `--help` prints before the options.
  options::options_description visible;   ///< The command's own options.
  options::options_description hidden{};  ///< Names for the positional arguments.
  options::positional_options_description positional{};
};

/// The values, or the exit code to end with after help or an error, which has been printed.
using ReadArguments = std::variant<options::variables_map, int>;
/// Parses the arguments. Accepts --url and the other server options if `asks_server`.
[[nodiscard]] ReadArguments read_arguments(const Arguments& arguments, CommandLine line,
                                           bool asks_server = true);

/// The server that the options, else the environment, else a config file name; by default the one
/// on this machine.
[[nodiscard]] Result<ServerAddress> server_of(const options::variables_map& values);

/// Prints to stderr what went wrong; returns the exit code.
int complain(const std::string& message, ExitCode code);
int complain(const Failure& failure);
int complain(const Failure& failure, ExitCode code);

/// Ignores SIGPIPE and SIGXFSZ: a write to a closed pipe or a file at its size limit then fails and
/// does not end the process. For commands with locks to keep or to release.
void outlive_failing_output();

/// Flushes stdout; returns the exit code, `io` if not all output could be written.
[[nodiscard]] int finish_output();

/// An option's value; empty if it is not given.
[[nodiscard]] std::string text_of(const options::variables_map& values, const char* name);
/// --token, else LOCKER_TOKEN; empty if neither is given.
[[nodiscard]] std::string token_of(const options::variables_map& values);
/// "user@host:pid", for people.
[[nodiscard]] std::string default_owner();

}  // namespace locker::client
