#include "client/command/wanted_options.hpp"

#include <string>
#include <utility>

#include "core/duration_text.hpp"
#include "core/utf8.hpp"

namespace locker::client {

void add_wanted_options(options::options_description& description) {
  auto add = description.add_options();
  const auto text = [](const char* name, const char* without) {
    return options::value<std::string>()->value_name(name)->default_value(without);
  };
  add("ttl", text("TIME", "30s"), "the lease ends this long after its last renewal");
  add("wait", text("TIME", "forever"),
      "wait in line for the lock at most this long; 0: do not wait");
  add("owner", options::value<std::string>()->value_name("TEXT"),
      "who holds the lock, for people who look (user@host:pid)");
  add("meta", options::value<std::string>()->value_name("TEXT"), "why, for people who look");
  add("shared", "hold the lock together with others who want it shared");
  add("no-lock-parents", "leave the paths above free for others");
  add("no-lock-children", "leave the paths below free for others");
  add("any", options::value<unsigned>()->value_name("COUNT"),
      "acquire this many of the paths, whichever are free first");
  add("lock-delay", options::value<std::string>()->value_name("TIME"),
      "after an expiry or a force, keep others out this long");
}

std::optional<WantedOptions> read_wanted_options(const options::variables_map& values) {
  WantedOptions read;
  read.wanted.ttl = text_of(values, "ttl");
  read.wanted.owner = values.count("owner") != 0 ? text_of(values, "owner") : default_owner();
  read.wanted.meta = text_of(values, "meta");
  read.wanted.lock_delay = text_of(values, "lock-delay");
  read.wanted.shared = values.count("shared") != 0;
  read.wanted.lock_parents = values.count("no-lock-parents") == 0;
  read.wanted.lock_children = values.count("no-lock-children") == 0;
  if (values.count("path") != 0) read.wanted.paths = values["path"].as<Arguments>();
  if (values.count("any") != 0) {
    read.wanted.any = values["any"].as<unsigned>();
    if (read.wanted.any < 1 || read.wanted.any > read.wanted.paths.size()) {
      complain("--any must be from 1 to the number of paths.", ExitCode::usage);
      return std::nullopt;
    }
  }
  for (const auto& [name, text] :
       {std::pair{"owner", &read.wanted.owner}, std::pair{"meta", &read.wanted.meta}}) {
    if (core::check_text(*text) != core::TextFault::not_utf8) continue;
    complain(std::string{"--"} + name + " must be valid UTF-8.", ExitCode::usage);
    return std::nullopt;
  }
  for (const char* const name : {"ttl", "wait", "lock-delay"}) {
    const std::string text = text_of(values, name);
    const bool is_forever = std::string_view{name} == "wait" && text == "forever";
    if (values.count(name) == 0 || is_forever || core::parse_duration(text)) continue;
    complain(std::string{"--"} + name + " is not a duration: '" + text +
                 "'; write it as 500ms, 30s, 5m, 1h.",
             ExitCode::usage);
    return std::nullopt;
  }
  if (const std::string wait = text_of(values, "wait"); wait != "forever") {
    read.wait = std::chrono::ceil<milliseconds>(*core::parse_duration(wait));
  }
  return read;
}

}  // namespace locker::client
