#pragma once

#include <optional>
#include <string>
#include <string_view>

#include <boost/container/static_vector.hpp>
#include <boost/json/object.hpp>

#include "core/error.hpp"
#include "server/request_handler.hpp"

namespace locker::server {

/// A request's named parameters, from the query or from the body (a form, or a flat JSON object),
/// never from both. Decoded once; names as they are.
class Parameters {
 public:
  /// Fills it in; a fault when the text is malformed, when there are too many, or when the body is
  /// of a type that is not understood.
  [[nodiscard]] std::optional<core::Fault> parse(std::string_view query, const Request& request);

  /// Adds the members of a flat object.
  [[nodiscard]] std::optional<core::Fault> take(const boost::json::object& object);

  /// A fault that names the first parameter which is not in `known` or is given twice: a mistyped
  /// flag must not take another lock than was meant. `known` is a space-separated list.
  [[nodiscard]] std::optional<core::Fault> expect_only(std::string_view known) const;

  /// The value, or null when the parameter is not given.
  [[nodiscard]] const std::string* find(std::string_view name) const;

  /// Reads True/False, true/false or 1/0 into `value`, which stays as it is when not given.
  [[nodiscard]] std::optional<core::Fault> read_flag(std::string_view name, bool& value) const;

 private:
  static constexpr std::size_t count_max = 16;
  struct Parameter {
    std::string name;
    std::string value;
  };
  [[nodiscard]] std::optional<core::Fault> parse_form(std::string_view text);

  boost::container::static_vector<Parameter, count_max> all_;
};

}  // namespace locker::server
