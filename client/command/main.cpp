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
    {"acquire", "acquire locks, and print their token", run_acquire_command},
    {"release", "release locks", run_release_command},
    {"renew", "renew a lease, once or all the time", run_renew_command},
    {"ls", "list locks, as a tree or a table", run_list_command},
    {"show", "show who holds a path and who waits for it", run_show_command},
    {"watch", "print events as they happen", run_watch_command},
    {"top", "show the longest waits and the oldest locks, live", run_top_command},
    {"force", "end locks of other owners", run_force_command},
    {"status", "show the state of the server", run_status_command},
    {"token", "make an API key for the server", run_token_command},
    {"store", "verify, dump or back up a store on this machine", run_store_command},
};

void print_usage(std::ostream& out) {
  out << "locker: the command-line client of lockerd, a lock server.\n\n"
         "  locker run /deploy/production -- ./deploy.sh\n\n"
         "Commands (for details: locker COMMAND --help):\n";
  for (const Command& command : commands) {
    std::string name = command.name;
    name.resize(10, ' ');
    out << "  " << name << command.summary << "\n";
  }
  out << "\nThe server is --url of each command, else LOCKER_URL, else `url = …` in\n"
         "~/.config/locker/locker.conf or /etc/locker/locker.conf, else http://127.0.0.1:8765.\n"
         "Exit codes: 0, 1 refused, 64 usage error, 69 server unreachable, 70 lock lost,\n"
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
  std::cerr << "locker: cannot continue: " << error.what() << "\n";
  return number(locker::client::ExitCode::no_resources);
}
