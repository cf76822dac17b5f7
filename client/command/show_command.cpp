#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <iostream>

#include "client/command/commands.hpp"
#include "client/command/terminal_text.hpp"
#include "client/library/lock.hpp"

namespace locker::client {
namespace {

constexpr const char* help =
    "locker show [--json] PATH\n"
    "\n"
    "Shows who holds a path, what elsewhere in the tree is in its way, and who waits for it, in\n"
    "order. Exit code: 0, whether the path is free or not.\n";

/// `count` names the field with their number, which may exceed the length of the list.
void print_locks(const boost::json::object& state, const char* name, const std::string& title,
                 const char* count = "") {
  const boost::json::array list = list_field(state, name);
  if (list.empty()) return;
  const bool waits = std::string_view{name} == "waiters" || std::string_view{name} == "awaited_by";
  std::vector<Row> rows{
      waits ? Row{"  PATH", "PLACE", "OWNER", "MODE", "WAITING"}
            : Row{"  PATH", "OWNER", "MODE", "STATE", "SINCE", "EXPIRES", "FENCE", "META"}};
  for (const auto& each : list) {
    const auto& lock = each.as_object();
    if (waits) {
      rows.push_back({"  " + text_field(lock, "path"), text_field(lock, "place"),
                      text_field(lock, "owner"), text_field(lock, "mode"),
                      duration_field(lock, "waiting_ms")});
      continue;
    }
    rows.push_back({"  " + text_field(lock, "path"), text_field(lock, "owner"),
                    text_field(lock, "mode"), text_field(lock, "state"),
                    duration_field(lock, "held_ms"), duration_field(lock, "expires_in_ms"),
                    text_field(lock, "fence"), text_field(lock, "meta")});
  }
  std::cout << title << "\n" << table(rows);
  const auto* const all = state.if_contains(count);
  const std::size_t shown = list.size();
  if (all == nullptr || !all->is_int64()) return;
  const auto there_are = static_cast<std::size_t>(std::max<std::int64_t>(all->get_int64(), 0));
  if (there_are > shown) std::cout << "  … and " << there_are - shown << " more\n";
}

}  // namespace

int run_show_command(const Arguments& arguments) {
  CommandLine line{help, options::options_description{"Options"}};
  line.visible.add_options()("json", "print the server's answer");
  line.hidden.add_options()("path", options::value<std::string>());
  line.positional.add("path", 1);
  const auto read = read_arguments(arguments, std::move(line));
  if (const int* const code = std::get_if<int>(&read)) return *code;
  const auto& values = std::get<options::variables_map>(read);
  if (values.count("path") == 0) return complain("Name a path: locker show PATH.", ExitCode::usage);
  const auto server = server_of(values);
  if (!server) return complain(server.error());
  const auto answered = call(*server, look_call(text_of(values, "path")));
  if (!answered) return complain(answered.error());
  if (answered->status != 200) return complain(answered->failure());
  if (values.count("json") != 0) {
    std::cout << answered->body << "\n";
  } else {
    const boost::json::object state = answered->json();
    std::cout << text_field(state, "path")
              << (text_field(state, "free") == "true" ? " is free\n" : " is taken\n");
    print_locks(state, "holders", "held by", "holder_count");
    print_locks(state, "covered_by", "in its way", "covered_by_count");
    print_locks(state, "awaited_by", "already waiting, ahead of others");
    print_locks(state, "waiters", text_field(state, "waiter_count") + " waiting for it",
                "waiter_count");
  }
  return finish_output();
}

}  // namespace locker::client
