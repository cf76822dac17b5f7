#pragma once

#include <cstddef>
#include <optional>
#include <vector>

#include <boost/json/object.hpp>

#include "core/error.hpp"
#include "core/request.hpp"

namespace locker::server {

/// Takes the members `locks` and `any` out of the body of POST /v1/locks. When there is a fault,
/// `wanted` has what was read before it.
[[nodiscard]] std::optional<core::Fault> take_locks(boost::json::object& body,
                                                    std::vector<core::Wanted>& wanted,
                                                    std::size_t& any);

}  // namespace locker::server
