#include "server/access/key_file.hpp"

#include <algorithm>
#include <array>
#include <filesystem>
#include <fstream>
#include <map>
#include <optional>
#include <utility>

#include "core/hex_digit.hpp"
#include "core/utf8.hpp"

namespace locker::server {
namespace {

using core::Fault;

constexpr std::size_t file_bytes_max = std::size_t{16} << 20U;
constexpr std::string_view hash_prefix = "sha256:";

std::vector<std::string_view> split(std::string_view line) {
  constexpr std::string_view blanks = " \t";
  std::vector<std::string_view> words;
  while (true) {
    const std::size_t begin = line.find_first_not_of(blanks);
    if (begin == std::string_view::npos) return words;
    const std::size_t end = std::min(line.find_first_of(blanks, begin), line.size());
    words.push_back(line.substr(begin, end - begin));
    line.remove_prefix(end);
  }
}

std::optional<core::Sha256> parse_digest(std::string_view text) {
  if (!text.starts_with(hash_prefix)) return std::nullopt;
  text.remove_prefix(hash_prefix.size());
  core::Sha256 digest;
  if (text.size() != 2 * digest.size()) return std::nullopt;
  for (std::size_t i = 0; i < digest.size(); ++i) {
    const int high = core::hex_digit(text[2 * i]);
    const int low = core::hex_digit(text[2 * i + 1]);
    if (high < 0 || low < 0) return std::nullopt;
    digest[i] = static_cast<std::uint8_t>(high * 16 + low);
  }
  return digest;
}

std::optional<Fault> parse_line(std::string_view line, AccessKey& key) {
  const std::vector<std::string_view> words = split(line);
  if (!core::is_key_name(words[0])) {
    return Fault{
        "a line must begin with the key's name: up to 64 letters, digits, '.', '_' or '-'"};
  }
  key.name = words[0];
  const auto digest = words.size() > 1 ? parse_digest(words[1]) : std::nullopt;
  if (!digest) {
    return Fault{
        "the name must be followed by sha256: and 64 hexadecimal digits; `locker token new` prints "
        "such lines"};
  }
  key.digest = *digest;
  if (words.size() == 2) return Fault{"the key has no rule; add one such as: lock /ci"};
  for (std::size_t i = 2; i < words.size(); i += 2) {
    auto rule = core::parse_access_rule(words[i], i + 1 < words.size() ? words[i + 1] : "");
    if (!rule) return rule.error();
    key.rules.push_back(std::move(*rule));
  }
  return std::nullopt;
}

/// Returns null if the file cannot be read. Uses read(), which reports a disk error in the state of
/// the stream, where an iterator would throw.
std::optional<std::string> read_text(const std::string& file) {
  std::ifstream stream{file, std::ios::binary};
  std::string text;
  std::array<char, 4096> piece;
  while (stream) {
    stream.read(piece.data(), piece.size());
    text.append(piece.data(), static_cast<std::size_t>(stream.gcount()));
  }
  if (!stream.is_open() || stream.bad()) return std::nullopt;
  return text;
}

}  // namespace

boost::system::result<std::vector<AccessKey>, Fault> parse_key_file(std::string_view text,
                                                                    const std::string& file) {
  std::vector<AccessKey> keys;
  std::map<std::string, std::size_t, std::less<>> line_of_name;
  std::map<core::Sha256, std::size_t> line_of_digest;
  for (std::size_t number = 1; !text.empty(); ++number) {
    const std::size_t end = std::min(text.find('\n'), text.size());
    const std::string_view line = text.substr(0, end);
    text.remove_prefix(std::min(end + 1, text.size()));
    const auto at_line = [&](std::string_view what) {
      std::string sentence = file;
      sentence.append(":").append(std::to_string(number)).append(": ").append(what);
      if (!what.ends_with('.')) sentence += '.';  // faults of paths and rules are sentences already
      return Fault{std::move(sentence)};
    };
    for (const char c : line) {
      if (c == '\t') continue;
      if (core::check_text({&c, 1}) == core::TextFault::control_character) {
        return at_line("the line contains a control character; end lines with a line feed alone");
      }
    }
    const std::size_t first = line.find_first_not_of(" \t");
    if (first == std::string_view::npos || line[first] == '#') continue;
    AccessKey key;
    if (const auto fault = parse_line(line, key)) return at_line(fault->message);
    const auto [name, name_is_new] = line_of_name.emplace(key.name, number);
    if (!name_is_new) {
      return at_line("line " + std::to_string(name->second) + " already has a key with this name");
    }
    const auto [digest, digest_is_new] = line_of_digest.emplace(key.digest, number);
    if (!digest_is_new) {
      return at_line("line " + std::to_string(digest->second) + " already has the same key");
    }
    keys.push_back(std::move(key));
  }
  return keys;
}

boost::system::result<std::vector<AccessKey>, Fault> read_key_file(const std::string& file) {
  std::error_code error;
  if (!std::filesystem::is_regular_file(file, error)) {
    return Fault{"The key file " + file + " does not exist or is not a regular file."};
  }
  if (std::filesystem::file_size(file, error) > file_bytes_max) {
    return Fault{"The key file " + file + " is larger than 16 MiB."};
  }
  const auto text = read_text(file);
  if (!text) {
    return Fault{"The key file " + file + " cannot be read; check its owner and permissions."};
  }
  return parse_key_file(*text, file);
}

}  // namespace locker::server
