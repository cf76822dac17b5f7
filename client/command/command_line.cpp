#include "client/command/command_line.hpp"

#include <pwd.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <csignal>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iostream>
#include <optional>
#include <string_view>
#include <system_error>

#include <boost/program_options/errors.hpp>
#include <boost/program_options/parsers.hpp>

#include "client/command/terminal_text.hpp"

namespace locker::client {
namespace {

constexpr const char* default_url = "http://127.0.0.1:8765";

std::string environment(const char* name) {
  const char* const value = std::getenv(name);
  return value == nullptr ? "" : value;
}

/// The path of the user's config file, else of the machine's; empty if there is none.
std::string config_file() {
  // Not LOCKER_CONFIG: that is lockerd's, which may run in the same environment.
  if (std::string named = environment("LOCKER_CLIENT_CONFIG"); !named.empty()) return named;
  std::string home = environment("XDG_CONFIG_HOME");
  if (home.empty() && !environment("HOME").empty()) home = environment("HOME") + "/.config";
  const std::array<std::string, 2> places{home + "/locker/locker.conf", "/etc/locker/locker.conf"};
  for (const std::string& place : places) {
    if (::access(place.c_str(), R_OK) == 0) return place;
  }
  return "";
}

options::options_description server_options() {
  options::options_description description{"Server"};
  auto add = description.add_options();
  add("url", options::value<std::string>()->value_name("URL"),
      "the server's URL (LOCKER_URL; http://127.0.0.1:8765)");
  add("key-file", options::value<std::string>()->value_name("FILE"),
      "a file with the API key, if the server requires one (LOCKER_KEY_FILE, or the key itself in "
      "LOCKER_KEY)");
  add("ca-file", options::value<std::string>()->value_name("FILE"),
      "https: the CAs that may sign the server's certificate, in PEM (LOCKER_CA_FILE; the "
      "system's CAs)");
  add("client-certificate", options::value<std::string>()->value_name("FILE"),
      "https: the client certificate, if the server requires one, in PEM "
      "(LOCKER_CLIENT_CERTIFICATE)");
  add("client-key", options::value<std::string>()->value_name("FILE"),
      "https: the key of the client certificate (LOCKER_CLIENT_KEY; the same file)");
  return description;
}

/// Reads the server options from a file with lines `name = value`.
Result<options::variables_map> read_config(const std::string& path) {
  options::variables_map values;
  if (path.empty()) return values;
  std::ifstream file{path};
  Failure failure;
  failure.code = "bad_url";
  failure.message = path + " cannot be read; fix it, or name another in LOCKER_CLIENT_CONFIG.";
  std::error_code ignored;
  if (!file || std::filesystem::is_directory(path, ignored)) return failure;
  try {
    options::store(options::parse_config_file(file, server_options()), values);
  } catch (const options::error& error) {
    failure.message = path + ": " + error.what() +
                      ". It takes url, key-file, ca-file, client-certificate and client-key.";
    return failure;
  }
  return values;
}

/// Removes trailing blanks and line ends, such as an editor leaves.
std::string& trim(std::string& text) {
  while (!text.empty() && std::string_view{" \t\r\n"}.find(text.back()) != std::string_view::npos) {
    text.pop_back();
  }
  return text;
}

Result<std::string> read_key(const std::string& path) {
  Failure failure;
  failure.code = "bad_url";
  std::ifstream file{path};
  std::string key;
  if (!file || !std::getline(file, key) || trim(key).empty()) {
    failure.message = "The key file " + path + " cannot be read, or its first line is empty.";
    return failure;
  }
  struct stat found {};
  if (::stat(path.c_str(), &found) == 0 && (found.st_mode & (S_IRGRP | S_IROTH)) != 0) {
    std::cerr << "locker: other users can read " << path << "; chmod 600 keeps the key secret.\n";
  }
  return key;
}

/// Checks a key for what a header line of the request cannot contain.
std::optional<Failure> check_key(const std::string& key) {
  const bool is_printable =
      std::all_of(key.begin(), key.end(), [](char c) { return c > ' ' && c < '\x7f'; });
  if (is_printable) return std::nullopt;
  Failure failure;
  failure.code = "bad_key";
  failure.message = "The API key contains a blank, a control character or a non-ASCII character.";
  return failure;
}

bool names_empty_path(const options::variables_map& values) {
  if (values.count("path") == 0) return false;
  const boost::any& value = values["path"].value();
  if (const auto* const path = boost::any_cast<std::string>(&value)) return path->empty();
  const auto* const paths = boost::any_cast<Arguments>(&value);
  return paths != nullptr && std::find(paths->begin(), paths->end(), "") != paths->end();
}

/// The name of an option that is empty and must not be. With an unset variable, a script would end
/// somebody else's lock (fence), use the surrounding lease (token), or hold for ever (ttl).
std::optional<std::string> empty_option(const options::variables_map& values) {
  for (const char* const name : {"fence", "lock-delay", "token", "ttl", "wait"}) {
    if (values.count(name) != 0 && text_of(values, name).empty()) return name;
  }
  return std::nullopt;
}

}  // namespace

ReadArguments read_arguments(const Arguments& arguments, CommandLine line, bool asks_server) {
  line.visible.add_options()("help,h", "print this");
  options::options_description all;
  all.add(line.visible).add(line.hidden);
  if (asks_server) all.add(server_options());
  options::variables_map values;
  try {
    options::command_line_parser parser{arguments};
    // No abbreviations: a new option could change their meaning.
    constexpr int style =
        options::command_line_style::unix_style & ~options::command_line_style::allow_guessing;
    options::store(parser.options(all).positional(line.positional).style(style).run(), values);
    options::notify(values);
  } catch (const options::error& error) {
    return complain(std::string{error.what()} + "; see --help.", ExitCode::usage);
  }
  if (values.count("help") == 0 && names_empty_path(values)) {
    return complain("A path is empty, perhaps an unset variable; write / for everything.",
                    ExitCode::usage);
  }
  if (const auto name = empty_option(values); name && values.count("help") == 0) {
    return complain("--" + *name + " is empty, perhaps an unset variable; leave it out.",
                    ExitCode::usage);
  }
  if (values.count("help") == 0) return values;
  std::cout << line.help << "\n" << line.visible;
  if (asks_server) std::cout << "\n" << server_options();
  return finish_output();
}

Result<ServerAddress> server_of(const options::variables_map& values) {
  const auto config = read_config(config_file());
  if (!config) return config.error();
  const auto first_of = [&](const char* option, const char* variable) {
    if (values.count(option) != 0) return values[option].as<std::string>();
    if (std::string value = environment(variable); !value.empty()) return value;
    return config->count(option) != 0 ? (*config)[option].as<std::string>() : std::string{};
  };
  const std::string url = first_of("url", "LOCKER_URL");
  auto address = parse_server_address(url.empty() ? default_url : url);
  if (!address) return address;
  address->key = environment("LOCKER_KEY");
  if (const std::string file = first_of("key-file", "LOCKER_KEY_FILE");
      address->key.empty() && !file.empty()) {
    const auto key = read_key(file);
    if (!key) return key.error();
    address->key = *key;
  }
  if (auto fault = check_key(trim(address->key))) return std::move(*fault);
  address->tls = {first_of("ca-file", "LOCKER_CA_FILE"),
                  first_of("client-certificate", "LOCKER_CLIENT_CERTIFICATE"),
                  first_of("client-key", "LOCKER_CLIENT_KEY")};
  return address;
}

int complain(const std::string& message, ExitCode code) {
  std::cerr << "locker: " << printable(message) << "\n";
  return number(code);
}

int complain(const Failure& failure) { return complain(failure, exit_code_of(failure)); }

int complain(const Failure& failure, ExitCode code) {
  std::string message = failure.message;
  // Cuts the server's advice, which is for HTTP users.
  if (failure.code == "locked") message.resize(std::min(message.size(), message.rfind("; ")));
  if (failure.code == "no_key") {
    message = "This server requires an API key: set LOCKER_KEY, or name a file with --key-file.";
  }
  return complain(message, code);
}

void outlive_failing_output() {
  for (const int number : {SIGPIPE, SIGXFSZ}) std::signal(number, SIG_IGN);
}

int finish_output() { return number(std::cout.flush() ? ExitCode::ok : ExitCode::io); }

std::string text_of(const options::variables_map& values, const char* name) {
  return values.count(name) == 0 ? "" : values[name].as<std::string>();
}

std::string token_of(const options::variables_map& values) {
  const std::string token = text_of(values, "token");
  return token.empty() ? environment("LOCKER_TOKEN") : token;
}

std::string default_owner() {
  const passwd* const user = ::getpwuid(::geteuid());
  std::array<char, 256> host{};
  if (::gethostname(host.data(), host.size() - 1) != 0) host[0] = '?';
  const std::string name = user != nullptr ? user->pw_name : std::to_string(::geteuid());
  return name + "@" + host.data() + ":" + std::to_string(::getpid());
}

}  // namespace locker::client
