#include <unistd.h>

#include <cstdlib>
#include <exception>
#include <iostream>
#include <optional>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>

#include "client/command/commands.hpp"
#include "client/library/lease_keeper.hpp"
#include "client/library/lock.hpp"

namespace locker::client {
namespace {

constexpr const char* help =
    "locker renew [--token UUID] [--ttl TIME] [--keep]\n"
    "\n"
    "The heartbeat of a lease: it lives for another TTL, with all its locks. With --keep it goes "
    "on\n"
    "doing that until it is killed (exit code by the signal) or the lease is lost (70):\n"
    "\n"
    "  locker renew --token $token --keep &\n";

/// Returns when the lease is lost.
int keep(const ServerAddress& server, const Grant& grant) {
  net::io_context io_context{1};
  LeaseKeeper keeper{io_context, server, grant};
  std::optional<Failure> lost;
  net::co_spawn(io_context, keeper.async_run(),
                [&lost](const std::exception_ptr& error, std::optional<Failure> failure) {
                  if (error) std::rethrow_exception(error);
                  lost = std::move(failure);
                });
  io_context.run();
  complain(lost ? lost->message : "The lease is lost.", ExitCode::lost);
  return number(ExitCode::lost);
}

}  // namespace

int run_renew_command(const Arguments& arguments) {
  CommandLine line{help, options::options_description{"Options"}};
  auto add = line.visible.add_options();
  add("token", options::value<std::string>()->value_name("UUID"), "the lease's (LOCKER_TOKEN)");
  add("ttl", options::value<std::string>()->value_name("TIME"), "change the lease's TTL to this");
  add("keep", "go on until killed or lost");
  add("json", "print the answer");
  const auto read = read_arguments(arguments, std::move(line));
  if (const int* const code = std::get_if<int>(&read)) return *code;
  const auto& values = std::get<options::variables_map>(read);
  Grant grant;
  grant.token = text_of(values, "token");
  const char* const named = std::getenv("LOCKER_TOKEN");
  if (grant.token.empty() && named != nullptr) grant.token = named;
  if (grant.token.empty()) {
    return complain("Say whose lease: --token, or LOCKER_TOKEN.", ExitCode::usage);
  }
  const auto server = server_of(values);
  if (!server) return complain(server.error());
  const auto answered = call(*server, renew_call(grant.token, text_of(values, "ttl")));
  if (!answered) return complain(answered.error());
  if (answered->status != 200) return complain(answered->failure());
  if (values.count("json") != 0) std::cout << answered->body << std::endl;
  if (values.count("keep") == 0) return number(ExitCode::ok);
  const boost::json::object renewed = answered->json();
  if (const auto* const ttl = renewed.if_contains("ttl_ms"); ttl != nullptr && ttl->is_number()) {
    grant.ttl = milliseconds{ttl->to_number<std::int64_t>()};
  }
  grant.sent = answered->sent;
  return keep(*server, grant);
}

}  // namespace locker::client
