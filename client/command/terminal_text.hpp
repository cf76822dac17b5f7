#pragma once

#include <chrono>
#include <string>
#include <string_view>
#include <vector>

#include <boost/json/array.hpp>
#include <boost/json/object.hpp>

namespace locker::client {

/// The text with its control characters, which a terminal would obey, as \xNN.
[[nodiscard]] std::string printable(std::string_view text);

/// The text cut to at most this many characters; "…" replaces the rest.
[[nodiscard]] std::string shortened(std::string_view text, std::size_t most);

/// "1.5s", "12s", "3m05s", "2h10m", "4d3h".
[[nodiscard]] std::string short_duration(std::chrono::milliseconds time);
/// A field in milliseconds as short_duration(); "-" if it is null or missing.
[[nodiscard]] std::string duration_field(const boost::json::object& object, std::string_view name);
/// A field as printable() text; empty if it is null or missing.
[[nodiscard]] std::string text_field(const boost::json::object& object, std::string_view name);
/// A field as an array; empty if it is not one.
[[nodiscard]] boost::json::array list_field(const boost::json::object& object,
                                            std::string_view name);

using Row = std::vector<std::string>;
/// The rows as aligned columns, two spaces apart.
[[nodiscard]] std::string table(const std::vector<Row>& rows);

}  // namespace locker::client
