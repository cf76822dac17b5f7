#include <iostream>

#include <boost/json/array.hpp>
#include <boost/json/serialize.hpp>

#include "client/command/commands.hpp"
#include "client/command/waiting_line.hpp"
#include "client/command/wanted_options.hpp"
#include "client/library/lock.hpp"

namespace locker::client {
namespace {

constexpr const char* help =
    "locker acquire [OPTION…] PATH…\n"
    "\n"
    "Acquires locks and prints their token, for scripts that release them themselves. Nothing\n"
    "renews the lease: call `locker renew`, or choose a TTL that is long enough. `locker run`\n"
    "does all of that.\n"
    "\n"
    "  token=$(locker acquire --ttl 10m --wait 5m /db/backup) || exit\n"
    "  …\n"
    "  locker release --token $token\n"
    "\n"
    "  lock=$(locker acquire --export /db/backup) || exit\n"
    "  eval \"$lock\"                  sets LOCKER_TOKEN, LOCKER_FENCE, LOCKER_PATH\n";

boost::json::object describe(const Grant& grant) {
  boost::json::object object{
      {"token", grant.token}, {"fence", grant.fence}, {"owner", grant.owner}};
  boost::json::array paths;
  for (const std::string& path : grant.paths) paths.emplace_back(path);
  object["paths"] = std::move(paths);
  object["ttl_ms"] = nullptr;
  if (grant.ttl) object["ttl_ms"] = grant.ttl->count();
  return object;
}

/// For use in single quotes, in which a shell interprets only the quote itself.
std::string quotable(const std::string& text) {
  std::string safe;
  for (const char c : text) safe += c == '\'' ? std::string{"%27"} : std::string{c};
  return safe;
}

void print_exports(const Grant& grant) {
  std::string paths;
  for (const std::string& path : grant.paths) paths += (paths.empty() ? "" : " ") + quotable(path);
  std::cout << "export LOCKER_TOKEN='" << quotable(grant.token) << "' LOCKER_FENCE='" << grant.fence
            << "' LOCKER_PATH='" << paths << "'\n";
}

}  // namespace

int run_acquire_command(const Arguments& arguments) {
  CommandLine line{help, options::options_description{"Options"}};
  add_wanted_options(line.visible);
  auto add = line.visible.add_options();
  add("token", options::value<std::string>()->value_name("UUID"),
      "add the locks to this living lease (LOCKER_TOKEN is not used)");
  add("json", "print the whole grant as JSON");
  add("export", "print variables for a shell to eval");
  add("quiet,q", "do not print who is in the way");
  line.hidden.add_options()("path", options::value<Arguments>());
  line.positional.add("path", -1);
  const auto read = read_arguments(arguments, std::move(line));
  if (const int* const code = std::get_if<int>(&read)) return *code;
  const auto& values = std::get<options::variables_map>(read);
  auto wanted = read_wanted_options(values);
  if (!wanted) return number(ExitCode::usage);
  if (values.count("path") == 0) {
    return complain("Name what to lock: locker acquire PATH…", ExitCode::usage);
  }
  if (values.count("json") != 0 && values.count("export") != 0) {
    return complain("--json and --export are two ways to print; give one of them.",
                    ExitCode::usage);
  }
  const auto server = server_of(values);
  if (!server) return complain(server.error());
  const auto refuse = [&values](const Failure& failure) {
    // In `eval "$(…)"` the shell sees only the status of the printed commands.
    if (values.count("export") != 0) std::cout << "false" << std::endl;
    return complain(failure);
  };

  Acquisition::Options how;
  how.wait = wanted->wait;
  how.patience = wanted->patience();
  how.token = text_of(values, "token");
  if (!how.token.empty()) {  // the lease has its owner and TTL
    if (values.count("owner") == 0) wanted->wanted.owner.clear();
    if (values["ttl"].defaulted()) wanted->wanted.ttl.clear();
  }
  outlive_failing_output();
  const auto granted = acquire_and_say(*server, wanted->wanted, how, values.count("quiet") == 0);
  if (!granted) return refuse(granted.error());
  if (values.count("json") != 0) {
    std::cout << boost::json::serialize(describe(*granted)) << "\n";
  } else if (values.count("export") != 0) {
    print_exports(*granted);
  } else {
    std::cout << granted->token << "\n";
  }
  if (std::cout.flush()) return number(ExitCode::ok);
  // The caller knows a token that it gave. With a new one nobody else could release the lock.
  if (!how.token.empty()) return number(ExitCode::io);
  static_cast<void>(call(*server, release_call(granted->token)));
  return complain("The token cannot be printed, so the lock is released.", ExitCode::io);
}

}  // namespace locker::client
