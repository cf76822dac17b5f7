#include "client/command/commands.hpp"
#include "client/command/patient_call.hpp"

namespace locker::client {
namespace {

constexpr const char* help =
    "locker release [--token UUID] [PATH…]\n"
    "\n"
    "Releases all locks of a lease, or some of its paths. Without --token the token is\n"
    "LOCKER_TOKEN. Releasing twice does no harm.\n";

}  // namespace

int run_release_command(const Arguments& arguments) {
  CommandLine line{help, options::options_description{"Options"}};
  line.visible.add_options()("token", options::value<std::string>()->value_name("UUID"),
                             "the token of the lease (LOCKER_TOKEN)");
  line.hidden.add_options()("path", options::value<Arguments>());
  line.positional.add("path", -1);
  const auto read = read_arguments(arguments, std::move(line));
  if (const int* const code = std::get_if<int>(&read)) return *code;
  const auto& values = std::get<options::variables_map>(read);
  const std::string token = token_of(values);
  if (token.empty()) {
    return complain("Name the lease: --token, or LOCKER_TOKEN.", ExitCode::usage);
  }
  outlive_failing_output();
  const auto server = server_of(values);
  if (!server) return complain(server.error());
  Arguments paths{""};
  if (values.count("path") != 0) paths = values["path"].as<Arguments>();
  int code = number(ExitCode::ok);
  for (const std::string& path : paths) {
    const auto answered = call_patiently(*server, release_call(token, path), release_patience);
    if (answered && answered->status == 200) continue;
    const int failed = complain(answered ? answered->failure() : answered.error());
    if (code == number(ExitCode::ok)) code = failed;
    if (is_away_or_full(answered)) break;
  }
  return code;
}

}  // namespace locker::client
