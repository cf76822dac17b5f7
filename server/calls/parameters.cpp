#include "server/calls/parameters.hpp"

#include <algorithm>
#include <span>
#include <string>

#include <boost/json/object.hpp>
#include <boost/json/string.hpp>

#include "core/assert.hpp"
#include "core/url_path.hpp"
#include "core/utf8.hpp"
#include "server/calls/json_body.hpp"

namespace locker::server {
namespace {

using core::Fault;

bool starts_with_type(std::string_view content_type, std::string_view type) {
  const auto lower = [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c; };
  if (content_type.size() < type.size()) return false;
  for (std::size_t i = 0; i < type.size(); ++i) {
    if (lower(content_type[i]) != type[i]) return false;
  }
  const std::string_view rest = content_type.substr(type.size());
  return rest.empty() || rest.front() == ';' || rest.front() == ' ';
}

Fault too_many() { return {"There are too many parameters; see the API's description."}; }

/// Whether a space-separated list contains the word.
bool has_word(std::string_view list, std::string_view word) {
  while (!list.empty()) {
    const std::size_t end = std::min(list.find(' '), list.size());
    if (list.substr(0, end) == word) return true;
    list.remove_prefix(std::min(end + 1, list.size()));
  }
  return false;
}

/// Quotes text from a client for an error message: "(unprintable)" if it cannot be shown, and only
/// the beginning of a long one.
std::string quoted(std::string_view name) {
  constexpr std::size_t shown_max = 64;
  if (core::check_text(name) != core::TextFault::none) return "(unprintable)";
  if (name.size() <= shown_max) return "'" + std::string{name} + "'";
  std::size_t size = shown_max;
  while ((static_cast<unsigned char>(name[size]) & 0xC0U) == 0x80U) --size;  // inside a character
  return "'" + std::string{name.substr(0, size)} + "…'";
}

/// No parameter name begins with a brace. Clients that are given no type, such as curl, declare a
/// body to be a form.
bool looks_like_json(std::string_view form) {
  const std::size_t begin = form.find_first_not_of(" \t\r\n");
  return begin != std::string_view::npos && form[begin] == '{';
}

}  // namespace

std::optional<Fault> Parameters::parse(const Request& request) {
  const std::string_view query = request.target.query;
  if (request.body.empty()) return query.empty() ? std::nullopt : parse_form(query);
  if (!query.empty()) {
    return Fault{"There are parameters both in the query and in the body; use one of the two."};
  }
  if (starts_with_type(request.content_type, "application/x-www-form-urlencoded")) {
    if (looks_like_json(request.body)) {
      return Fault{
          "The body looks like JSON, but is sent as a form; add Content-Type: application/json."};
    }
    return parse_form(request.body);
  }
  if (starts_with_type(request.content_type, "application/json")) {
    boost::json::object object;
    if (auto fault = read_json_object(request, object)) return fault;
    return take(object);
  }
  return Fault{
      "The body's Content-Type is not supported; send application/json or "
      "application/x-www-form-urlencoded, or put the parameters into the query."};
}

std::string_view Parameters::keep(std::string_view text) {
  LOCKER_ASSERT(text.size() <= text_.capacity() - text_.size());
  const std::size_t at = text_.size();
  text_.insert(text_.end(), text.begin(), text.end());
  return {text_.data() + at, text.size()};
}

/// Decodes a part of a form. Unlike in a path, a plus is a space, because clients encode forms that
/// way.
std::optional<Fault> Parameters::decode(std::string_view text, std::string_view& decoded) {
  const std::size_t at = text_.size();
  static_cast<void>(keep(text));
  std::span<char> kept{text_.data() + at, text.size()};
  std::replace(kept.begin(), kept.end(), '+', ' ');
  if (auto fault = core::percent_decode(kept)) return fault;
  decoded = {kept.data(), kept.size()};
  return std::nullopt;
}

std::optional<Fault> Parameters::parse_form(std::string_view text) {
  LOCKER_ASSERT(all_.empty());  // its elements are views into text_
  text_.reserve(text.size());
  while (!text.empty()) {
    const std::size_t end = std::min(text.find('&'), text.size());
    const std::string_view pair = text.substr(0, end);
    text.remove_prefix(std::min(end + 1, text.size()));
    if (pair.empty()) continue;
    if (all_.size() == count_max) return too_many();
    const std::size_t equals = std::min(pair.find('='), pair.size());
    Parameter& added = all_.emplace_back();
    if (auto fault = decode(pair.substr(0, equals), added.name)) return fault;
    if (equals == pair.size()) continue;
    if (auto fault = decode(pair.substr(equals + 1), added.value)) return fault;
  }
  return std::nullopt;
}

std::optional<Fault> Parameters::take(const boost::json::object& object) {
  LOCKER_ASSERT(all_.empty());
  constexpr std::size_t number_size_max = 330;  // fits 1e308 as std::to_string() writes it
  std::size_t size = 0;
  for (const auto& [name, member] : object) {
    size += name.size() + (member.is_string() ? member.get_string().size() : number_size_max);
  }
  text_.reserve(size);
  for (const auto& [name, member] : object) {
    if (all_.size() == count_max) return too_many();
    Parameter& added = all_.emplace_back();
    added.name = keep(name);
    // Converting a number to text would change what the client wrote: 1.50 would become 1.500000.
    const bool is_other_text = member.is_number() || member.is_bool();
    if (is_other_text && has_word("owner meta token reason", added.name)) {
      return Fault{"Parameter " + quoted(added.name) + " must be a string; put it in quotes."};
    }
    if (member.is_string()) {
      added.value = keep(member.get_string());
    } else if (member.is_bool()) {
      added.value = member.get_bool() ? "true" : "false";
    } else if (member.is_int64()) {
      added.value = keep(std::to_string(member.get_int64()));
    } else if (member.is_uint64()) {
      added.value = keep(std::to_string(member.get_uint64()));
    } else if (member.is_double()) {
      added.value = keep(std::to_string(member.get_double()));
    } else if (member.is_null()) {
      return Fault{"Parameter " + quoted(added.name) + " is null; leave it out."};
    } else {
      return Fault{"Parameter " + quoted(added.name) + " must be a string, a number or a boolean."};
    }
  }
  return std::nullopt;
}

std::optional<Fault> Parameters::expect_only(std::string_view known) const {
  for (auto at = all_.begin(); at != all_.end(); ++at) {
    if (!has_word(known, at->name)) {
      return Fault{"Unknown parameter " + quoted(at->name) + "; this call takes " +
                   (known.empty() ? "none" : std::string{known}) + "."};
    }
    const auto same = [&](const Parameter& other) { return other.name == at->name; };
    if (std::find_if(all_.begin(), at, same) != at) {
      return Fault{"Parameter " + quoted(at->name) + " is given twice; give it once."};
    }
  }
  return std::nullopt;
}

const std::string_view* Parameters::find(std::string_view name) const {
  for (const Parameter& parameter : all_) {
    if (parameter.name == name) return &parameter.value;
  }
  return nullptr;
}

std::optional<Fault> Parameters::read_flag(std::string_view name, bool& value) const {
  const std::string_view* const text = find(name);
  if (text == nullptr) return std::nullopt;
  if (*text == "True" || *text == "true" || *text == "1") {
    value = true;
  } else if (*text == "False" || *text == "false" || *text == "0") {
    value = false;
  } else {
    return Fault{"Parameter '" + std::string{name} +
                 "' must be true or false, True or False, 1 or 0."};
  }
  return std::nullopt;
}

}  // namespace locker::server
