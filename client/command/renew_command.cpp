#include <signal.h>
#include <sys/types.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <exception>
#include <fstream>
#include <iostream>
#include <optional>
#include <string>
#include <utility>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/use_awaitable.hpp>

#include "client/command/commands.hpp"
#include "client/command/patient_call.hpp"
#include "client/library/lease_keeper.hpp"
#include "client/library/lock.hpp"
#include "client/library/run_to_end.hpp"

namespace locker::client {
namespace {

constexpr const char* help =
    "locker renew [--token UUID] [--ttl TIME] [--keep [--while PID]]\n"
    "\n"
    "Renews a lease and all its locks for another TTL. With --keep it goes on doing so until it\n"
    "is killed (exit code of the signal), the lease is lost (70), or the process that --while\n"
    "names is gone (0), such as the script that uses the lease:\n"
    "\n"
    "  locker renew --token $token --keep --while $$ &\n";

constexpr std::chrono::milliseconds look_every{500};
/// With --keep already the first renewal waits for a server that is being restarted.
constexpr milliseconds keeping_patience{60'000};

/// True also for a zombie, whose parent has not waited for it.
bool is_gone(pid_t process) {
  if (::kill(process, 0) != 0 && errno != EPERM) return true;
  std::ifstream file{"/proc/" + std::to_string(process) + "/stat"};
  std::string text;
  std::getline(file, text);
  const std::size_t state = text.rfind(')') + 2;  // after the name, which can contain anything
  return state < text.size() && (text[state] == 'Z' || text[state] == 'X');
}

/// Returns when the process is gone.
net::awaitable<void> async_watch(pid_t process) {
  net::steady_timer timer{co_await net::this_coro::executor};
  while (!is_gone(process)) {
    timer.expires_after(look_every);
    co_await timer.async_wait(net::use_awaitable);
  }
}

/// Returns when the lease is lost, or the process is gone.
int keep(const ServerAddress& server, const Grant& grant, pid_t process) {
  net::io_context io_context{1};
  bool is_gone = false;
  LeaseKeeper keeper{io_context, server, grant};
  keeper.go_on_to_the_end();
  std::optional<Failure> lost;
  net::co_spawn(io_context, keeper.async_run(),
                [&lost](const std::exception_ptr& error, std::optional<Failure> failure) {
                  rethrow(error);
                  lost = std::move(failure);
                });
  if (process > 0) {
    net::co_spawn(io_context, async_watch(process), [&](const std::exception_ptr& error) {
      rethrow(error);
      is_gone = true;
    });
  }
  while (!is_gone && !lost && io_context.run_one() != 0) {
  }
  if (is_gone) return number(ExitCode::ok);
  complain(lost ? lost->message : "The lease is lost.", ExitCode::lost);
  return number(ExitCode::lost);
}

}  // namespace

int run_renew_command(const Arguments& arguments) {
  CommandLine line{help, options::options_description{"Options"}};
  auto add = line.visible.add_options();
  add("token", options::value<std::string>()->value_name("UUID"),
      "the token of the lease (LOCKER_TOKEN)");
  add("ttl", options::value<std::string>()->value_name("TIME"), "the new TTL of the lease");
  add("keep", "go on until killed, or the lease is lost");
  add("while", options::value<pid_t>()->value_name("PID"),
      "with --keep: as long as this process lives");
  add("json", "print the server's answer");
  const auto read = read_arguments(arguments, std::move(line));
  if (const int* const code = std::get_if<int>(&read)) return *code;
  const auto& values = std::get<options::variables_map>(read);
  Grant grant;
  grant.token = token_of(values);
  if (values.count("while") != 0 &&
      (values.count("keep") == 0 || values["while"].as<pid_t>() < 1)) {
    return complain("--while takes the number of a process, and goes with --keep.",
                    ExitCode::usage);
  }
  if (grant.token.empty()) {
    return complain("Name the lease: --token, or LOCKER_TOKEN.", ExitCode::usage);
  }
  outlive_failing_output();
  const auto server = server_of(values);
  if (!server) return complain(server.error());
  const auto answered =
      call_patiently(*server, renew_call(grant.token, text_of(values, "ttl")),
                     values.count("keep") != 0 ? keeping_patience : milliseconds{0});
  if (!answered) return complain(answered.error());
  const auto renewed = parse_renewal(*answered);
  if (!renewed) return complain(renewed.error());
  int code = number(ExitCode::ok);
  if (values.count("json") != 0) {
    std::cout << answered->body << "\n";
    code = finish_output();
  }
  if (values.count("keep") == 0) return code;
  grant.ttl = renewed->ttl;
  grant.sent = answered->sent;
  return keep(*server, grant, values.count("while") != 0 ? values["while"].as<pid_t>() : 0);
}

}  // namespace locker::client
