#include <unistd.h>

#include <iostream>
#include <optional>
#include <string>

#include "client/command/commands.hpp"
#include "client/command/pages.hpp"
#include "client/command/terminal_text.hpp"
#include "client/library/lock.hpp"
#include "core/url_path.hpp"

namespace locker::client {
namespace {

constexpr const char* help =
    "locker force --reason TEXT (PATH | --prefix PATH | --owner TEXT | --fence N)… [--yes]\n"
    "\n"
    "Ends locks of other owners; their programs get the reason. On a terminal it shows which, and\n"
    "asks first. --fence, alone or with a path, spares the next holder:\n"
    "\n"
    "  locker force --reason 'ci-7 is gone' --fence 1795526454779061 /deploy/production\n"
    "\n"
    "--owner alone also ends leases of this owner without locks.\n";

constexpr std::size_t shown_max = 20;

/// The path as the server spells it; unchanged if the server would refuse it.
std::string spelled(const std::string& typed) {
  core::Path path;
  if (core::parse_url_path(url_path(typed), path)) return url_path(typed);
  std::string text;
  core::append_url_path(path.view(), text);
  return text;
}

/// Whether the force is for everything of one owner, and so also for leases without locks, which no
/// list shows.
bool means_leases(const ForceFilter& force) {
  return !force.owner.empty() && force.path.empty() && force.fence.empty() &&
         (force.prefix.empty() || spelled(force.prefix) == "/");
}

/// `held` of the `count` are locks; the others are waiting requests.
std::string question(std::size_t count, std::size_t held) {
  if (count == 0) return "No such lock is held. End leases that hold nothing?";
  if (held < count) return count == 1 ? "End this wait?" : "End all of it?";
  return count == 1 ? "End this lock?" : "End " + std::to_string(count) + " locks?";
}

/// Shows what would end and asks; returns whether the user agrees.
Result<bool> confirm(const ServerAddress& server, const ForceFilter& force) {
  ListFilter filter;
  filter.prefix = force.path.empty() ? force.prefix : force.path;
  filter.owner = force.owner;
  std::size_t count = 0;
  std::vector<Row> rows;
  const std::string path = spelled(force.path);
  const auto show = [&](const boost::json::object& lock) {
    if (!force.path.empty() && text_field(lock, "path") != path) return;
    if (!force.fence.empty() && text_field(lock, "fence") != force.fence) return;
    const std::string state = text_field(lock, "state");
    if (!force.ends_cooling && state == "cooling") return;
    if (++count > shown_max) return;
    const bool waits = state == "waiting";
    rows.push_back({"  " + text_field(lock, "path"), text_field(lock, "owner"),
                    duration_field(lock, waits ? "waiting_ms" : "held_ms"),
                    waits ? "waits" : text_field(lock, "fence"), text_field(lock, "meta")});
  };
  if (const auto listed = for_each_lock(server, filter, show); !listed) return listed.error();
  const std::size_t held = count;
  if (force.ends_waiting) {
    filter.state = "waiting";
    if (const auto listed = for_each_lock(server, filter, show); !listed) return listed.error();
  }
  if (count == 0 && !means_leases(force)) {
    std::cerr << "No such lock is held.\n";
    return false;
  }
  std::cerr << table(rows);
  if (count > shown_max) std::cerr << "  … and " << count - shown_max << " more\n";
  std::cerr << question(count, held) << " [y/N] ";
  std::string answer;
  std::getline(std::cin, answer);
  return answer == "y" || answer == "Y" || answer == "yes";
}

/// What is wrong with the arguments, or null.
std::optional<std::string> find_fault(const options::variables_map& values,
                                      const ForceFilter& force) {
  for (const char* const name : {"prefix", "owner"}) {  // empty, it would end more than intended
    if (values.count(name) == 0 || !text_of(values, name).empty()) continue;
    return std::string{"--"} + name + " is empty, perhaps an unset variable.";
  }
  if (text_of(values, "reason").empty()) return "Say why, with --reason.";
  if (!force.path.empty() && !(force.prefix.empty() && force.owner.empty())) {
    return "Name a path, or --prefix and --owner, not both.";
  }
  if (force.path.empty() && force.prefix.empty() && force.owner.empty() && force.fence.empty()) {
    return "Say which locks: a path, --prefix, --owner or --fence.";
  }
  return std::nullopt;
}

}  // namespace

int run_force_command(const Arguments& arguments) {
  CommandLine line{help, options::options_description{"Options"}};
  auto add = line.visible.add_options();
  const auto text = [](const char* name) {
    return options::value<std::string>()->value_name(name);
  };
  add("reason", text("TEXT"), "why; their holders get it");
  add("prefix", text("PATH"), "everything at and below this path");
  add("owner", text("TEXT"), "everything of this owner");
  add("fence", text("N"), "only the lock with this fence");
  add("cooling", "also locks in their lock delay");
  add("waiting", "also waiting requests, and places kept in line");
  add("yes,y", "do not ask first");
  line.hidden.add_options()("path", options::value<std::string>());
  line.positional.add("path", 1);
  const auto read = read_arguments(arguments, std::move(line));
  if (const int* const code = std::get_if<int>(&read)) return *code;
  const auto& values = std::get<options::variables_map>(read);
  const ForceFilter filter{text_of(values, "path"),      text_of(values, "prefix"),
                           text_of(values, "owner"),     text_of(values, "fence"),
                           values.count("cooling") != 0, values.count("waiting") != 0};
  if (const auto fault = find_fault(values, filter)) return complain(*fault, ExitCode::usage);
  const auto server = server_of(values);
  if (!server) return complain(server.error());
  if (values.count("yes") == 0 && ::isatty(STDIN_FILENO) != 0) {
    const auto confirmed = confirm(*server, filter);
    if (!confirmed) return complain(confirmed.error());
    if (!*confirmed) return complain("Nothing was ended.", ExitCode::refused);
  }
  const auto answered = call(*server, force_call(filter, text_of(values, "reason")));
  if (!answered) return complain(answered.error());
  if (answered->status != 200) return complain(answered->failure());
  std::cout << "ended " << text_field(answered->json(), "ended") << "\n";
  return finish_output();
}

}  // namespace locker::client
