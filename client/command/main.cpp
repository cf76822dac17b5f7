// locker, the command line. Each command has a file of its own.

#include <exception>
#include <iostream>
#include <string>

#include "client/command/commands.hpp"
#include "client/command/exit_code.hpp"
#include "server/version.hpp"

namespace locker::client {
namespace {

struct Command {
  const char* name;
  const char* summary;
  int (*run)(const Arguments& arguments);
};

constexpr Command commands[] = {
    {"run", "hold locks while a command runs", run_run_command},
    {"acquire", "take locks, and print the token", run_acquire_command},
    {"release", "give locks back", run_release_command},
    {"renew", "the heartbeat of a lease", run_renew_command},
    {"ls", "what is held, as a tree or a table", run_list_command},
    {"show", "who holds a path, and who waits for it", run_show_command},
    {"watch", "what happens, as it happens", run_watch_command},
    {"top", "who waits longest and for whom, live", run_top_command},
    {"force", "end somebody else's locks", run_force_command},
    {"status", "how the server is", run_status_command},
    {"token", "make an API key for the server", run_token_command},
    {"store", "verify, dump or back up a store on this machine", run_store_command},
};

void print_usage(std::ostream& out) {
  out << "locker: takes turns on resources by a lock server (lockerd).\n\n"
         "  locker run /deploy/production -- ./deploy.sh\n\n"
         "Commands (locker COMMAND --help tells more):\n";
  for (const Command& command : commands) {
    std::string name = command.name;
    name.resize(10, ' ');
    out << "  " << name << command.summary << "\n";
  }
  out << "\nThe server is --url of each command, else LOCKER_URL, else `url = …` in\n"
         "~/.config/locker/locker.conf or /etc/locker/locker.conf, else http://127.0.0.1:8765.\n"
         "Exit codes: 0, 1 refused, 64 used wrongly, 69 server unreachable, 70 lock lost,\n"
         "71 out of memory or open files, 74 output not written, 75 not acquired,\n"
         "77 not permitted; those of `store` are in its help.\n";
}

int run(Arguments arguments) {
  if (arguments.size() == 1 && arguments[0] == "--version") {
    std::cout << "locker " << server::version << "\n";
    return finish_output();
  }
  const bool wants_help = !arguments.empty() && (arguments[0] == "--help" || arguments[0] == "-h" ||
                                                 arguments[0] == "help");
  if (wants_help && arguments.size() < 2) {
    print_usage(std::cout);
    return finish_output();
  }
  if (wants_help) arguments = {arguments[1], "--help"};
  if (arguments.empty()) {
    print_usage(std::cerr);
    return number(ExitCode::usage);
  }
  const std::string name = arguments.front();
  for (const Command& command : commands) {
    if (name == command.name) return command.run({arguments.begin() + 1, arguments.end()});
  }
  std::cerr << "locker: there is no command '" << name << "'; `locker help` lists them.\n";
  return number(ExitCode::usage);
}

}  // namespace
}  // namespace locker::client

int main(int argc, char** argv) try {
  return locker::client::run({argv + 1, argv + argc});
} catch (const std::exception& error) {
  std::cerr << "locker: cannot go on: " << error.what() << "\n";
  return number(locker::client::ExitCode::no_resources);
}
