#pragma once

#include <optional>

#include <boost/json/object.hpp>

#include "core/error.hpp"
#include "server/request_handler.hpp"

namespace locker::server {

/// Parses a body that must be a JSON object. Duplicate member names are a fault, because readers
/// differ in which one they keep. Without a body the object is empty, and the caller reports what
/// is missing.
[[nodiscard]] std::optional<core::Fault> read_json_object(const Request& request,
                                                          boost::json::object& object);

}  // namespace locker::server
