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

/// How one command reads its arguments.
struct CommandLine {
  std::string help;                       ///< What `--help` prints before the options.
  options::options_description visible;   ///< The command's own options.
  options::options_description hidden{};  ///< Names for what stands without one.
  options::positional_options_description positional{};
};

/// What was read, or the exit code with which to end: help was asked for, or something is wrong,
/// and that was said.
using ReadArguments = std::variant<options::variables_map, int>;
/// With --url and the like where `asks_server`.
[[nodiscard]] ReadArguments read_arguments(const Arguments& arguments, CommandLine line,
                                           bool asks_server = true);

/// The server that the options, the environment or a config file name; else the one on this
/// machine.
[[nodiscard]] Result<ServerAddress> server_of(const options::variables_map& values);

/// Says on stderr what went wrong; returns the exit code.
int complain(const std::string& message, ExitCode code);
int complain(const Failure& failure);
int complain(const Failure& failure, ExitCode code);

/// From now on a write fails, and ends nobody, where nobody reads any more what we say, or the file
/// for it has become too large. For who has locks to keep, or to give back.
void outlive_failing_output();

/// Writes what is left of the output; returns the exit code: `io` if not all could be written.
[[nodiscard]] int finish_output();

/// Of an option; empty when it is not there.
[[nodiscard]] std::string text_of(const options::variables_map& values, const char* name);
/// --token, else LOCKER_TOKEN; empty when neither is there.
[[nodiscard]] std::string token_of(const options::variables_map& values);
/// user@host:pid, for people.
[[nodiscard]] std::string default_owner();

}  // namespace locker::client
