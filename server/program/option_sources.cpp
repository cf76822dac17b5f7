#include "server/program/option_sources.hpp"

#include <unistd.h>

#include <algorithm>
#include <cctype>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <iterator>
#include <sstream>
#include <string_view>

#include <boost/program_options.hpp>

namespace locker::server {
namespace {

namespace po = boost::program_options;

constexpr std::string_view variable_prefix = "LOCKER_";

/// Variables of `locker`, the Python client and the recipes, which may run in the same environment.
bool is_of_client(std::string_view name) {
  static constexpr std::string_view names[] = {"CA_FILE",       "CLIENT_CERTIFICATE",
                                               "CLIENT_CONFIG", "CLIENT_KEY",
                                               "FENCE",         "KEY",
                                               "KEY_FILE",      "PATH",
                                               "TOKEN",         "TTL",
                                               "URL",           "WAIT"};
  return std::find(std::begin(names), std::end(names), name) != std::end(names);
}

/// Variables that Kubernetes sets in each pod for every service. For one named `locker` or
/// `locker-ui`: LOCKER_UI_SERVICE_HOST, LOCKER_UI_SERVICE_PORT_HTTP, LOCKER_UI_PORT=tcp://… and
/// LOCKER_UI_PORT_80_TCP_ADDR.
bool is_of_kubernetes(std::string_view name, std::string_view value) {
  const std::string all = "_" + std::string{name};
  if (all.find("_SERVICE_HOST") != std::string::npos) return true;
  if (all.find("_SERVICE_PORT") != std::string::npos) return true;
  constexpr std::string_view port = "_PORT_";
  const std::size_t at = all.find(port);
  if (at != std::string::npos) {
    return all.find_first_of("0123456789", at) == at + port.size();
  }
  return all.ends_with("_PORT") && value.find("://") != std::string_view::npos;
}

/// Returns "sync-interval" for LOCKER_SYNC_INTERVAL, and nothing for a variable that is not an
/// option: other programs (locker itself) use this prefix, too.
std::string option_of_variable(const po::options_description& all, const std::string& variable) {
  if (!variable.starts_with(variable_prefix)) return "";
  std::string name = variable.substr(variable_prefix.size());
  std::transform(name.begin(), name.end(), name.begin(), [](unsigned char c) {
    return c == '_' ? '-' : static_cast<char>(std::tolower(c));
  });
  const bool known = !name.empty() && all.find_nothrow(name, false) != nullptr && name != "help" &&
                     name != "version";
  return known ? name : "";
}

/// Renames --data to --file, so that the first source that has either of them wins.
po::parsed_options with_one_name(po::parsed_options parsed) {
  for (po::option& option : parsed.options) {
    if (option.string_key == "data") option.string_key = "file";
  }
  return parsed;
}

/// Returns the text of the file, without the byte order mark that some editors for Windows write.
/// Limits its size, because an endless device that is named by mistake must not fill the memory.
std::string read_config_file(const std::string& path) {
  constexpr std::size_t size_max = 1024 * 1024;
  std::string text(size_max + 1, '\0');
  std::ifstream file{path, std::ios::binary};
  const bool is_open = file.is_open();
  if (is_open) file.read(text.data(), static_cast<std::streamsize>(text.size()));
  if (!is_open || file.bad()) {
    throw po::error("the config file " + path + " cannot be read: " +
                    std::strerror(errno));  // NOLINT(concurrency-mt-unsafe): read at once
  }
  text.resize(static_cast<std::size_t>(file.gcount()));
  if (text.size() > size_max) {
    throw po::error("the config file " + path +
                    " is larger than 1 MiB; it cannot be a config file");
  }
  constexpr std::string_view byte_order_mark = "\xEF\xBB\xBF";
  if (text.starts_with(byte_order_mark)) text.erase(0, byte_order_mark.size());
  return text;
}

/// Refuses help, version and config in a file: a server that prints its version and exits with 0
/// would be taken for one that succeeded, and a second file is not read.
void refuse_what_is_of_no_file(const po::parsed_options& parsed) {
  for (const po::option& option : parsed.options) {
    const std::string& name = option.string_key;
    if (name != "help" && name != "version" && name != "config") continue;
    throw po::error("option '" + name + "' cannot be set in a file");
  }
}

}  // namespace

void read_option_sources(int argc, const char* const* argv, const po::options_description& all,
                         po::variables_map& values) {
  // No abbreviations: their meaning would change when an option is added.
  constexpr int style =
      po::command_line_style::unix_style & ~po::command_line_style::allow_guessing;
  po::store(with_one_name(po::command_line_parser(argc, argv)
                              .options(all)
                              .style(style)
                              .positional(po::positional_options_description{})
                              .run()),
            values);
  try {
    po::store(with_one_name(po::parse_environment(
                  all, [&](const std::string& name) { return option_of_variable(all, name); })),
              values);
  } catch (const po::error& error) {
    throw po::error(std::string{"in the environment (LOCKER_...): "} + error.what());
  }
  if (values.count("config") != 0) {
    const std::string path = values["config"].as<std::string>();
    std::istringstream file{read_config_file(path)};
    try {
      const auto parsed = po::parse_config_file(file, all);
      refuse_what_is_of_no_file(parsed);
      po::store(with_one_name(parsed), values);
    } catch (const po::error& error) {
      throw po::error("in the config file " + path + ": " + error.what());
    }
  }
  po::notify(values);
}

std::vector<std::string> find_unknown_variables(const po::options_description& all) {
  std::vector<std::string> unknown;
  for (char** each = ::environ; each != nullptr && *each != nullptr; ++each) {
    const std::string_view variable{*each};
    if (!variable.starts_with(variable_prefix)) continue;
    const std::size_t equals = std::min(variable.find('='), variable.size());
    const std::string_view whole = variable.substr(0, equals);
    const std::string_view name = whole.substr(variable_prefix.size());
    const std::string_view value = variable.substr(std::min(equals + 1, variable.size()));
    const bool is_known = !option_of_variable(all, std::string{whole}).empty() ||
                          is_of_client(name) || is_of_kubernetes(name, value);
    if (!is_known) unknown.emplace_back(whole);
  }
  return unknown;
}

bool asks_for_json(int argc, const char* const* argv, const po::variables_map& values) {
  constexpr std::string_view option = "--log-format";
  for (int i = 1; i < argc; ++i) {
    const std::string_view argument{argv[i]};
    if (argument == option && i + 1 < argc) return argv[i + 1] == std::string_view{"json"};
    if (argument.starts_with("--log-format=")) return argument.ends_with("=json");
  }
  const char* const variable = std::getenv("LOCKER_LOG_FORMAT");  // NOLINT(concurrency-mt-unsafe)
  if (variable != nullptr) return variable == std::string_view{"json"};
  return values.count("log-format") != 0 && values["log-format"].as<std::string>() == "json";
}

}  // namespace locker::server
