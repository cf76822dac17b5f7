#include <iostream>
#include <string>
#include <vector>

#include "client/store_command.hpp"
#include "client/token_command.hpp"
#include "server/version.hpp"

namespace {

constexpr char usage[] =
    "locker: the command line of the lock server lockerd.\n"
    "\n"
    "  locker store verify PATH   reads a store to the last byte and says what is in each file\n"
    "  locker store dump PATH     prints a store's records, a JSON object a line, without tokens\n"
    "  locker token new NAME      makes an API key for lockerd --keys; --help tells more\n"
    "  locker --version | --help\n"
    "\n"
    "A store is looked at and never changed; no lockerd may have it open. Exit code: 0 in order,\n"
    "64 used wrongly, 73 in use, 74 unreadable, 78 damaged.\n";

}  // namespace

int main(int argc, char** argv) {
  const std::vector<std::string> arguments(argv + 1, argv + argc);
  if (!arguments.empty() && arguments[0] == "store") {
    return locker::client::run_store_command({arguments.begin() + 1, arguments.end()});
  }
  if (!arguments.empty() && arguments[0] == "token") {
    return locker::client::run_token_command({arguments.begin() + 1, arguments.end()});
  }
  if (arguments.size() == 1 && arguments[0] == "--version") {
    std::cout << "locker " << locker::server::version << "\n";
    return 0;
  }
  const bool asked = arguments.size() == 1 && (arguments[0] == "--help" || arguments[0] == "help");
  (asked ? std::cout : std::cerr) << usage;
  return asked ? 0 : 64;
}
