#pragma once

#include <chrono>
#include <string>
#include <string_view>
#include <vector>

#include <boost/json/array.hpp>
#include <boost/json/object.hpp>

namespace locker::client {

/// The text without what would command a terminal: control characters stand as \xNN.
[[nodiscard]] std::string printable(std::string_view text);

/// At most so many characters; "…" stands for the rest.
[[nodiscard]] std::string shortened(std::string_view text, std::size_t most);

/// "1.5s", "12s", "3m05s", "2h10m", "4d3h".
[[nodiscard]] std::string short_duration(std::chrono::milliseconds time);
/// A field in milliseconds as short_duration(); "-" when it is null or not there.
[[nodiscard]] std::string duration_field(const boost::json::object& object, std::string_view name);
/// A field as text that a terminal can have; empty when it is null or not there.
[[nodiscard]] std::string text_field(const boost::json::object& object, std::string_view name);
/// A field as an array; empty when it is none.
[[nodiscard]] boost::json::array list_field(const boost::json::object& object,
                                            std::string_view name);

using Row = std::vector<std::string>;
/// Columns that are as wide as they must be, two spaces between them.
[[nodiscard]] std::string table(const std::vector<Row>& rows);

}  // namespace locker::client
