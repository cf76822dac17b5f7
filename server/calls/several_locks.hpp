#pragma once

#include <cstddef>
#include <optional>
#include <vector>

#include <boost/json/object.hpp>

#include "core/error.hpp"
#include "core/request.hpp"
#include "server/request_handler.hpp"

namespace locker::server {

/// The contents of the body of POST /v1/locks.
struct SeveralLocks {
  std::vector<core::Wanted> wanted;
  std::size_t any = 0;
  boost::json::object parameters;  ///< The remaining ones.
};

/// Parses the body. If there is a fault, `several` contains what was read before it.
[[nodiscard]] std::optional<core::Fault> read_several_locks(const Request& request,
                                                            SeveralLocks& several);

}  // namespace locker::server
