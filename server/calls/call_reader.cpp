#include "server/calls/call_reader.hpp"

#include <charconv>

#include "core/duration_text.hpp"
#include "core/record.hpp"
#include "core/token_text.hpp"
#include "core/url_path.hpp"
#include "core/utf8.hpp"
#include "server/calls/error_answer.hpp"

namespace locker::server {
namespace {

using core::Fault;
using Microseconds = std::chrono::microseconds;

/// Writes the duration as a whole number of the largest unit that divides it.
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

std::optional<Fault> read_number(std::string_view name, std::string_view text, std::uint64_t least,
                                 std::uint64_t most, std::optional<std::uint64_t>& value) {
  std::uint64_t number = 0;
  const char* const end = text.data() + text.size();
  const auto read = std::from_chars(text.data(), end, number);
  if (read.ec != std::errc{} || read.ptr != end || number < least || number > most) {
    return Fault{"Parameter '" + std::string{name} + "' must be a number from " +
                 std::to_string(least) + " to " + std::to_string(most) + "."};
  }
  value = number;
  return std::nullopt;
}

std::optional<Fault> read_duration(std::string_view name, std::string_view text, Microseconds least,
                                   Microseconds most, Microseconds& value) {
  const auto duration = core::parse_duration(text);
  if (!duration) {
    return Fault{"Parameter '" + std::string{name} +
                 "' must be a duration: one number and one unit, such as 500ms, 30s, 5m, 1h or 2d, "
                 "or a number of seconds."};
  }
  if (*duration < least || *duration > most) {
    return Fault{"Parameter '" + std::string{name} + "' must be from " + text_of(least) + " to " +
                 text_of(most) + "."};
  }
  value = *duration;
  return std::nullopt;
}

std::optional<Fault> read_token(const Parameters& parameters, const Request& request,
                                std::optional<core::Token>& token) {
  const std::string_view* const text = parameters.find("token");
  // An empty token counts as given, in the header as well as in the parameter: it may come from an
  // unset variable of a script, and must be refused.
  const bool is_in_header = request.lock_token.data() != nullptr;
  if (text != nullptr && is_in_header) {
    return Fault{"The token is both in a parameter and in the header Lock-Token; use one of them."};
  }
  if (text == nullptr && !is_in_header) return std::nullopt;
  token = core::parse_token(text != nullptr ? *text : request.lock_token);
  if (token) return std::nullopt;
  return Fault{"The token must be a UUID, such as uuidgen prints."};
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

CallReader& CallReader::path(std::string_view url_path, core::Path& path) {
  return check([&] { return core::parse_url_path(url_path, path); });
}

CallReader& CallReader::parameters() {
  return check([&] { return parameters_.parse(request_); });
}

CallReader& CallReader::parameters(const boost::json::object& object) {
  return check([&] { return parameters_.take(object); });
}

CallReader& CallReader::only(std::string_view known) {
  return check([&] { return parameters_.expect_only(known); });
}

CallReader& CallReader::owner(std::optional<std::string>& owner) {
  return value("owner", [&](std::string_view text) {
    owner = text == unknown_owner ? std::string_view{} : text;
    return check_line("The owner", text, core::owner_bytes_max);
  });
}

CallReader& CallReader::prefix(std::optional<std::string>& packed) {
  return value("prefix", [&](std::string_view text) {
    core::Path path;
    auto fault = core::parse_url_path(text, path);
    if (!fault) packed = path.view().packed();
    return fault;
  });
}

CallReader& CallReader::meta(std::string& meta) {
  return value("meta", [&](std::string_view text) {
    meta = text;
    return check_line("The meta", text, core::meta_bytes_max);
  });
}

CallReader& CallReader::shape(core::Shape& shape) {
  return value("mode", [&](std::string_view text) { return read_mode(text, shape.mode); })
      .flag("lock_parents", shape.lock_parents)
      .flag("lock_children", shape.lock_children);
}

CallReader& CallReader::ttl(core::Milliseconds max_ttl, std::optional<core::Milliseconds>& ttl) {
  const std::chrono::milliseconds most = max_ttl.count() != 0 ? max_ttl : ttl_max;
  return value("ttl", [&](std::string_view text) {
    Microseconds given{};
    auto fault = read_duration("ttl", text, std::chrono::milliseconds{1}, most, given);
    ttl = std::chrono::duration_cast<core::Milliseconds>(given);
    return fault;
  });
}

CallReader& CallReader::token(std::optional<core::Token>& token) {
  return check([&] { return read_token(parameters_, request_, token); });
}

CallReader& CallReader::needed_token(core::Token& token) {
  std::optional<core::Token> given;
  this->token(given).require(
      given.has_value(), "Add the lease's token: the parameter token, or the header Lock-Token.");
  if (given) token = *given;
  return *this;
}

CallReader& CallReader::flag(std::string_view name, bool& value) {
  return check([&] { return parameters_.read_flag(name, value); });
}

CallReader& CallReader::number(std::string_view name, std::uint64_t least, std::uint64_t most,
                               std::optional<std::uint64_t>& value) {
  return this->value(
      name, [&](std::string_view text) { return read_number(name, text, least, most, value); });
}

CallReader& CallReader::duration(std::string_view name, Microseconds least, Microseconds most,
                                 Microseconds& value) {
  return this->value(
      name, [&](std::string_view text) { return read_duration(name, text, least, most, value); });
}

CallReader& CallReader::require(bool is_fit, const char* fault) {
  if (!fault_ && !is_fit) fault_ = Fault{fault};
  return *this;
}

bool CallReader::refused(Response& response) const {
  if (fault_) answer_error(400, "bad_request", fault_->message, response);
  return fault_.has_value();
}

}  // namespace locker::server
