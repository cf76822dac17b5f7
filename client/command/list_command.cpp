#include <iostream>

#include <boost/json/serialize.hpp>

#include "client/command/commands.hpp"
#include "client/command/lock_tree.hpp"
#include "client/command/pages.hpp"
#include "client/command/terminal_text.hpp"

namespace locker::client {
namespace {

constexpr const char* help =
    "locker ls [OPTION…] [PREFIX]\n"
    "\n"
    "Lists the locks at and below a path as a tree; without a path, all locks.\n"
    "\n"
    "  locker ls --table --owner ci-7      oldest first\n"
    "  locker ls --state waiting           who waits in line\n"
    "  locker ls --json /ci | jq .path     one JSON object per line\n";

Row row_of(const boost::json::object& lock) {
  const std::string since = text_field(lock, "state") == "waiting" ? "waiting_ms" : "held_ms";
  return {text_field(lock, "path"),    text_field(lock, "owner"),
          text_field(lock, "mode"),    is_kept_place(lock) ? "kept" : text_field(lock, "state"),
          duration_field(lock, since), duration_field(lock, "expires_in_ms"),
          text_field(lock, "fence"),   text_field(lock, "meta")};
}

}  // namespace

int run_list_command(const Arguments& arguments) {
  CommandLine line{help, options::options_description{"Options"}};
  auto add = line.visible.add_options();
  add("table,l", "as a table, oldest first");
  add("json", "one JSON object per line, as the server sends it");
  add("owner", options::value<std::string>()->value_name("TEXT"), "only locks of this owner");
  add("state", options::value<std::string>()->value_name("STATE"),
      "held (with those in their lock delay; the default), cooling, waiting");
  line.hidden.add_options()("prefix", options::value<std::string>());
  line.positional.add("prefix", 1);
  const auto read = read_arguments(arguments, std::move(line));
  if (const int* const code = std::get_if<int>(&read)) return *code;
  const auto& values = std::get<options::variables_map>(read);
  const auto server = server_of(values);
  if (!server) return complain(server.error());
  ListFilter filter;
  filter.prefix = text_of(values, "prefix");
  filter.owner = text_of(values, "owner");
  filter.state = text_of(values, "state");

  if (values.count("json") != 0) {
    const auto listed = for_each_lock(*server, filter, [](const boost::json::object& lock) {
      std::cout << boost::json::serialize(lock) << "\n";
    });
    if (!listed) return complain(listed.error());
  } else if (values.count("table") != 0) {
    std::vector<Row> rows{{"PATH", "OWNER", "MODE", "STATE", "SINCE", "EXPIRES", "FENCE", "META"}};
    const auto listed = for_each_lock(*server, filter, [&rows](const boost::json::object& lock) {
      rows.push_back(row_of(lock));
    });
    if (!listed) return complain(listed.error());
    std::cout << table(rows);
  } else {
    LockTree tree;
    const auto listed = for_each_lock(*server, filter,
                                      [&tree](const boost::json::object& lock) { tree.add(lock); });
    if (!listed) return complain(listed.error());
    tree.print(std::cout);
  }
  return finish_output();
}

}  // namespace locker::client
