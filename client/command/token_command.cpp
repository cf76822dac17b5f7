#include "client/command/commands.hpp"

#include <fcntl.h>
#include <sys/random.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstdint>
#include <cstring>
#include <fstream>
#include <iostream>
#include <iterator>
#include <optional>
#include <string_view>
#include <utility>
#include <vector>

#include "core/access_rule.hpp"
#include "core/hex_digit.hpp"
#include "core/sha256.hpp"
#include "core/url_path.hpp"

namespace locker::client {
namespace {

constexpr const char* help =
    "locker token new NAME --allow RULE [--allow RULE]… [--file FILE]\n"
    "\n"
    "Makes an API key. Prints the key, which cannot be shown again, and the line for lockerd's\n"
    "key file, which contains only its hash. With --file it appends the line to FILE and prints\n"
    "only the key; send lockerd a SIGHUP then.\n"
    "\n"
    "A RULE is a right and a path, and also covers everything below the path:\n"
    "  read PATH    look, list, follow events         lock PATH    acquire, renew, release locks\n"
    "  force PATH   end locks of others               admin /      everything\n"
    "lock and force include read.\n"
    "\n"
    "  locker token new ci --allow \"lock /ci\" --allow \"read /deploy\" --file /etc/locker/keys\n";

struct NewKey {
  std::string name;
  std::vector<core::AccessRule> rules;
  std::string file;
};

/// Fills `key` from the arguments. Returns what is wrong with them, or null.
std::optional<std::string> read_key(const options::variables_map& values, NewKey& key) {
  Arguments words;
  if (values.count("words") != 0) words = values["words"].as<Arguments>();
  if (words.empty() || words[0] != "new") return "Say what to do: locker token new NAME.";
  if (words.size() != 2) return "Give the new key one NAME.";
  key.name = words[1];
  if (!core::is_key_name(key.name)) {
    return "A name consists of up to 64 letters, digits, '.', '_' and '-'.";
  }
  if (values.count("allow") == 0) return "Say what the key permits: --allow \"lock /ci\".";
  for (const std::string& text : values["allow"].as<Arguments>()) {
    const std::size_t blank = text.find(' ');
    if (blank == std::string::npos) return "A rule is a right and a path: --allow \"lock /ci\".";
    auto rule = core::parse_access_rule(text.substr(0, blank), text.substr(blank + 1));
    if (!rule) return "--allow \"" + text + "\": " + rule.error().message + ".";
    key.rules.push_back(*rule);
  }
  key.file = text_of(values, "file");
  return std::nullopt;
}

/// 256 random bits in an alphabet that needs no quoting anywhere; empty if the system gives none.
std::string make_secret() {
  std::array<std::uint8_t, 32> bytes;
  std::size_t filled = 0;
  while (filled < bytes.size()) {
    const ssize_t got = ::getrandom(bytes.data() + filled, bytes.size() - filled, 0);
    if (got < 0 && errno != EINTR) return "";
    if (got > 0) filled += static_cast<std::size_t>(got);
  }
  std::string secret = "locker_";  // for secret scanners
  for (const std::uint8_t byte : bytes) core::append_hex(byte, secret);
  return secret;
}

std::string line_of(const NewKey& key, const std::string& secret) {
  std::string line = key.name + " sha256:";
  for (const std::uint8_t byte : core::sha256(secret)) core::append_hex(byte, line);
  for (const core::AccessRule& rule : key.rules) {
    line += "  ";
    line += core::name_of(rule.right);
    line += ' ';
    core::append_url_path(core::PathView{rule.packed_path}, line);
  }
  return line;
}

/// Whether a line of the file begins with this name.
bool has_name(const std::string& text, const std::string& name) {
  std::size_t at = 0;
  while (at < text.size()) {
    const std::size_t begin = text.find_first_not_of(" \t", at);
    if (begin == std::string::npos) return false;
    const std::string_view rest = std::string_view{text}.substr(begin);
    const bool is_it = rest.starts_with(name) && rest.size() > name.size() &&
                       (rest[name.size()] == ' ' || rest[name.size()] == '\t');
    if (is_it) return true;
    const std::size_t end = text.find('\n', begin);
    if (end == std::string::npos) return false;
    at = end + 1;
  }
  return false;
}

/// Appends the line with one write, and creates the file if needed: lockerd never reads half a line
/// unless the disk is full, which is reported.
int append(const NewKey& key, const std::string& line) {
  const auto why = [&] { return key.file + " cannot be written: " + std::strerror(errno) + "."; };
  std::ifstream stream{key.file, std::ios::binary};
  const std::string before{std::istreambuf_iterator<char>{stream}, {}};
  if (has_name(before, key.name)) {
    return complain(key.file + " has a key named " + key.name + " already.", ExitCode::usage);
  }
  const std::string text = (before.empty() || before.ends_with('\n') ? "" : "\n") + line + "\n";
  const int file = ::open(key.file.c_str(), O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0640);
  if (file < 0) return complain(why(), ExitCode::io);
  const ssize_t written = ::write(file, text.data(), text.size());
  const bool is_done = written == static_cast<ssize_t>(text.size()) && ::fsync(file) == 0;
  const std::string sentence = is_done ? "" : why();
  ::close(file);
  return is_done ? number(ExitCode::ok) : complain(sentence, ExitCode::io);
}

int make(const NewKey& key) {
  const std::string secret = make_secret();
  if (secret.empty()) {
    return complain(
        std::string{"The system provides no random bytes: "} + std::strerror(errno) + ".",
        ExitCode::io);
  }
  const std::string line = line_of(key, secret);
  if (!key.file.empty()) {
    if (const int code = append(key, line); code != number(ExitCode::ok)) return code;
    std::cerr << "The key " << key.name << " is in " << key.file
              << " now; send lockerd a SIGHUP. The key itself, shown this once:\n";
    std::cout << secret << "\n";
  } else {
    std::cerr << "The key, shown this once, and the line for lockerd's key file:\n";
    std::cout << secret << "\n" << line << "\n";
  }
  return finish_output();
}

}  // namespace

int run_token_command(const Arguments& arguments) {
  CommandLine line{help, options::options_description{"Options"}};
  auto add = line.visible.add_options();
  add("allow", options::value<Arguments>()->value_name("RULE"), "what the key permits, and where");
  add("file", options::value<std::string>()->value_name("FILE"),
      "lockerd's key file, to append the line to");
  line.hidden.add_options()("words", options::value<Arguments>());
  line.positional.add("words", -1);
  const auto read = read_arguments(arguments, std::move(line), false);
  if (const int* const code = std::get_if<int>(&read)) return *code;
  NewKey key;
  const auto fault = read_key(std::get<options::variables_map>(read), key);
  return fault ? complain(*fault, ExitCode::usage) : make(key);
}

}  // namespace locker::client
