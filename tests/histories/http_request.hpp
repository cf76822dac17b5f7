#pragma once

#include "tests/histories/history.hpp"
#include "tests/histories/http_connection.hpp"

namespace locker::histories {

/// How an operation is asked of the server.
[[nodiscard]] HttpConnection::Request http_request_of(const Operation& operation);

}  // namespace locker::histories
