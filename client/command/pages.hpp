#pragma once

#include <functional>

#include <boost/json/object.hpp>

#include "client/library/calls.hpp"

namespace locker::client {

/// Asks for a list page by page, on one connection; `visit` is told of each lock in order of fence.
[[nodiscard]] Result<void> for_each_lock(
    const ServerAddress& server, const ListFilter& filter,
    const std::function<void(const boost::json::object&)>& visit);

}  // namespace locker::client
