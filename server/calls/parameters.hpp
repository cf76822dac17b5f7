#pragma once

#include <optional>
#include <string_view>

#include <boost/container/small_vector.hpp>
#include <boost/container/static_vector.hpp>
#include <boost/json/object.hpp>

#include "core/error.hpp"
#include "server/request_handler.hpp"

namespace locker::server {

/// A request's named parameters, from the query or from the body (a form, or a flat JSON object),
/// never from both. Decoded once; names as they are.
class Parameters {
 public:
  Parameters() = default;
  Parameters(const Parameters&) = delete;
  Parameters& operator=(const Parameters&) = delete;

  /// Fills it in; a fault when the text is malformed, when there are too many, or when the body is
  /// of a type that is not understood. REQUIRES: nothing is in it.
  [[nodiscard]] std::optional<core::Fault> parse(std::string_view query, const Request& request);

  /// Takes the members of a flat object. REQUIRES: nothing is in it.
  [[nodiscard]] std::optional<core::Fault> take(const boost::json::object& object);

  /// A fault that names the first parameter which is not in `known` or is given twice: a mistyped
  /// flag must not take another lock than was meant. `known` is a space-separated list.
  [[nodiscard]] std::optional<core::Fault> expect_only(std::string_view known) const;

  /// The value, or null when the parameter is not given. Lives as long as this does.
  [[nodiscard]] const std::string_view* find(std::string_view name) const;

  /// Reads True/False, true/false or 1/0 into `value`, which stays as it is when not given.
  [[nodiscard]] std::optional<core::Fault> read_flag(std::string_view name, bool& value) const;

 private:
  static constexpr std::size_t count_max = 16;
  struct Parameter {
    std::string_view name;  // both of text_
    std::string_view value;
  };
  [[nodiscard]] std::optional<core::Fault> parse_form(std::string_view text);
  /// REQUIRES: text_ has room for it.
  [[nodiscard]] std::string_view keep(std::string_view text);
  [[nodiscard]] std::optional<core::Fault> decode(std::string_view text, std::string_view& decoded);

  boost::container::static_vector<Parameter, count_max> all_;
  boost::container::small_vector<char, 512> text_;  // most requests take no memory for theirs
};

}  // namespace locker::server
