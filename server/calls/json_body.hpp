#pragma once

#include <optional>

#include <boost/json/object.hpp>

#include "core/error.hpp"
#include "server/request_handler.hpp"

namespace locker::server {

/// Reads a body that must be a JSON object, in which no object names a member twice: of two, each
/// reader takes another one. Without a body the object is empty: then the caller says what is
/// missing.
[[nodiscard]] std::optional<core::Fault> read_json_object(const Request& request,
                                                          boost::json::object& object);

}  // namespace locker::server
