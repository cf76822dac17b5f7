#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>

#include <boost/json/object.hpp>

namespace locker::histories {

/// Calls `visit` with each line's number, from 1 on, and its object. Throws std::runtime_error with
/// file and line when one does not read, or when `visit` throws.
void for_each_json_line(
    const std::string& file,
    const std::function<void(std::uint64_t, const boost::json::object&)>& visit);

/// A member of an object; empty, zero or `otherwise` when it is not there or null. Throws when it
/// is of another type.
[[nodiscard]] std::string text_of(const boost::json::object& object, std::string_view name);
[[nodiscard]] std::int64_t number_of(const boost::json::object& object, std::string_view name);
[[nodiscard]] bool flag_of(const boost::json::object& object, std::string_view name,
                           bool otherwise);

}  // namespace locker::histories
