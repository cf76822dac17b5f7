#pragma once

#include <optional>
#include <string_view>

#include <boost/container/small_vector.hpp>
#include <boost/container/static_vector.hpp>
#include <boost/json/object.hpp>

#include "core/error.hpp"
#include "server/request_handler.hpp"

namespace locker::server {

/// The named parameters of a request, from the query or the body (a form or a flat JSON object),
/// never from both. Decoded once. Names are case-sensitive.
class Parameters {
 public:
  Parameters() = default;
  Parameters(const Parameters&) = delete;
  Parameters& operator=(const Parameters&) = delete;

  /// Parses the query or the body. Returns a fault if the text is malformed, if both are given, if
  /// there are too many parameters, or if the type of the body is not supported. REQUIRES: this
  /// object is empty.
  [[nodiscard]] std::optional<core::Fault> parse(const Request& request);

  /// Adopts the members of a flat object. REQUIRES: this object is empty.
  [[nodiscard]] std::optional<core::Fault> take(const boost::json::object& object);

  /// Returns a fault that names the first parameter which is not in `known`, a space-separated
  /// list, or is given twice: a mistyped flag must not acquire another lock than was meant.
  [[nodiscard]] std::optional<core::Fault> expect_only(std::string_view known) const;

  /// Returns the value, or null if the parameter is not given. Valid as long as this object.
  [[nodiscard]] const std::string_view* find(std::string_view name) const;

  /// Reads True/False, true/false or 1/0 into `value`, which is left unchanged if the parameter is
  /// not given.
  [[nodiscard]] std::optional<core::Fault> read_flag(std::string_view name, bool& value) const;

 private:
  static constexpr std::size_t count_max = 16;
  struct Parameter {
    std::string_view name;  // both refer to text_, or to a literal
    std::string_view value;
  };
  [[nodiscard]] std::optional<core::Fault> parse_form(std::string_view text);
  /// REQUIRES: text_ has room for it.
  [[nodiscard]] std::string_view keep(std::string_view text);
  [[nodiscard]] std::optional<core::Fault> decode(std::string_view text, std::string_view& decoded);

  boost::container::static_vector<Parameter, count_max> all_;
  boost::container::small_vector<char, 512> text_;  // most requests need no allocation
};

}  // namespace locker::server
