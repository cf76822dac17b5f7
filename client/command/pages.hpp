#pragma once

#include <functional>

#include <boost/json/object.hpp>

#include "client/library/calls.hpp"

namespace locker::client {

/// Lists locks page by page on one connection; calls `visit` for each, in order of fence. Blocks.
[[nodiscard]] Result<void> for_each_lock(
    const ServerAddress& server, const ListFilter& filter,
    const std::function<void(const boost::json::object&)>& visit);

}  // namespace locker::client
