#include "server/calls/call_parameters.hpp"

#include <charconv>

#include "core/duration_text.hpp"
#include "core/record.hpp"
#include "core/token_text.hpp"
#include "core/url_path.hpp"
#include "core/utf8.hpp"

namespace locker::server {
namespace {

using core::Fault;
using Microseconds = std::chrono::microseconds;

/// In the largest unit in which it is a whole number.
std::string text_of(Microseconds duration) {
  const auto milliseconds = duration.count() / 1000;
  for (const auto& [size, unit] :
       {std::pair{86'400'000, "d"}, {3'600'000, "h"}, {60'000, "m"}, {1'000, "s"}}) {
    if (milliseconds != 0 && milliseconds % size == 0) {
      return std::to_string(milliseconds / size) + unit;
    }
  }
  return std::to_string(milliseconds) + "ms";
}

std::optional<Fault> read_mode(std::string_view text, core::Mode& mode) {
  if (text == "exclusive") {
    mode = core::Mode::exclusive;
  } else if (text == "shared") {
    mode = core::Mode::shared;
  } else {
    return Fault{"Parameter 'mode' must be exclusive or shared."};
  }
  return std::nullopt;
}

}  // namespace

std::optional<Fault> check_line(std::string_view what, std::string_view text,
                                std::size_t bytes_max) {
  if (text.size() > bytes_max) {
    return Fault{std::string{what} + " is longer than " + std::to_string(bytes_max) + " bytes."};
  }
  if (core::check_text(text) != core::TextFault::none) {
    return Fault{std::string{what} + " must be valid UTF-8 without control characters."};
  }
  return std::nullopt;
}

std::optional<Fault> read_owner(const Parameters& parameters, std::optional<std::string>& owner) {
  const std::string_view* const text = parameters.find("owner");
  if (text == nullptr) return std::nullopt;
  if (auto fault = check_line("The owner", *text, core::owner_bytes_max)) return fault;
  owner = *text == unknown_owner ? std::string_view{} : *text;
  return std::nullopt;
}

std::optional<Fault> read_prefix(const Parameters& parameters, std::optional<std::string>& packed) {
  const std::string_view* const text = parameters.find("prefix");
  if (text == nullptr) return std::nullopt;
  core::Path path;
  if (auto fault = core::parse_url_path(*text, path)) return fault;
  packed = path.view().packed();
  return std::nullopt;
}

std::optional<Fault> read_number(const Parameters& parameters, std::string_view name,
                                 std::uint64_t least, std::uint64_t most,
                                 std::optional<std::uint64_t>& value) {
  const std::string_view* const text = parameters.find(name);
  if (text == nullptr) return std::nullopt;
  std::uint64_t number = 0;
  const char* const end = text->data() + text->size();
  const auto read = std::from_chars(text->data(), end, number);
  if (read.ec != std::errc{} || read.ptr != end || number < least || number > most) {
    return Fault{"Parameter '" + std::string{name} + "' must be a number from " +
                 std::to_string(least) + " to " + std::to_string(most) + "."};
  }
  value = number;
  return std::nullopt;
}

std::optional<Fault> read_meta(const Parameters& parameters, std::string& meta) {
  const std::string_view* const text = parameters.find("meta");
  if (text == nullptr) return std::nullopt;
  if (auto fault = check_line("The meta", *text, core::meta_bytes_max)) return fault;
  meta = *text;
  return std::nullopt;
}

std::optional<Fault> read_shape(const Parameters& parameters, core::Shape& shape) {
  std::optional<Fault> fault;
  if (const std::string_view* const mode = parameters.find("mode")) {
    fault = read_mode(*mode, shape.mode);
  }
  if (!fault) fault = parameters.read_flag("lock_parents", shape.lock_parents);
  if (!fault) fault = parameters.read_flag("lock_children", shape.lock_children);
  return fault;
}

std::optional<Fault> read_duration(const Parameters& parameters, std::string_view name,
                                   Microseconds least, Microseconds most,
                                   std::optional<Microseconds>& value) {
  const std::string_view* const text = parameters.find(name);
  if (text == nullptr) return std::nullopt;
  const auto duration = core::parse_duration(*text);
  if (!duration) {
    return Fault{"Parameter '" + std::string{name} +
                 "' must be a duration: one number and one unit, such as 500ms, 30s, 5m, 1h or 2d, "
                 "or a number of seconds."};
  }
  if (*duration < least || *duration > most) {
    return Fault{"Parameter '" + std::string{name} + "' must be from " + text_of(least) + " to " +
                 text_of(most) + "."};
  }
  value = duration;
  return std::nullopt;
}

std::optional<Fault> read_ttl(const Parameters& parameters, core::Milliseconds max_ttl,
                              std::optional<core::Milliseconds>& ttl) {
  const core::Milliseconds most = max_ttl.count() != 0 ? max_ttl : ttl_max;
  std::optional<Microseconds> duration;
  if (auto fault = read_duration(parameters, "ttl", std::chrono::milliseconds{1},
                                 std::chrono::milliseconds{most.count()}, duration)) {
    return fault;
  }
  if (duration) ttl = core::Milliseconds{static_cast<std::uint32_t>(duration->count() / 1000)};
  return std::nullopt;
}

std::optional<Fault> read_token(const Parameters& parameters, const Request& request,
                                std::optional<core::Token>& token) {
  const std::string_view* const text = parameters.find("token");
  // An empty one is there, too, as an empty parameter is: perhaps of a variable that is not set.
  const bool is_in_header = request.lock_token.data() != nullptr;
  if (text != nullptr && is_in_header) {
    return Fault{"The token stands in a parameter and in the header Lock-Token; use one of them."};
  }
  if (text == nullptr && !is_in_header) return std::nullopt;
  token = core::parse_token(text != nullptr ? *text : request.lock_token);
  if (token) return std::nullopt;
  return Fault{"The token must be a UUID, such as uuidgen prints."};
}

}  // namespace locker::server
