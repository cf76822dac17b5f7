#include <iostream>

#include "client/command/commands.hpp"
#include "client/command/terminal_text.hpp"
#include "client/library/lock.hpp"

namespace locker::client {
namespace {

constexpr const char* help =
    "locker status [--json]\n"
    "\n"
    "Prints the server's version and state. Exit code: 0 if it accepts requests, 1 if it is\n"
    "stopping, 69 if it does not answer.\n";

}  // namespace

int run_status_command(const Arguments& arguments) {
  CommandLine line{help, options::options_description{"Options"}};
  line.visible.add_options()("json", "print the server's answer");
  const auto read = read_arguments(arguments, std::move(line));
  if (const int* const code = std::get_if<int>(&read)) return *code;
  const auto& values = std::get<options::variables_map>(read);
  const auto server = server_of(values);
  if (!server) return complain(server.error());
  Call look;
  look.target = "/v1/status";
  const auto answered = call(*server, look);
  if (!answered) return complain(answered.error());
  if (answered->status != 200) return complain(answered->failure());
  look.target = "/readyz";
  const auto ready = call(*server, look);
  if (!ready) return complain(ready.error());
  if (values.count("json") != 0) {
    std::cout << answered->body << "\n";
  } else {
    std::vector<Row> rows{{"url", server->url()}, {"ready", ready->status == 200 ? "yes" : "no"}};
    for (const auto& [name, value] : answered->json()) {
      rows.push_back({std::string{name}, text_field(answered->json(), name)});
    }
    std::cout << table(rows);
  }
  if (!std::cout.flush()) return number(ExitCode::io);
  return ready->status == 200 ? number(ExitCode::ok) : number(ExitCode::refused);
}

}  // namespace locker::client
