#pragma once

#include <string_view>

namespace locker::server {

/// The description of the API for programs, as /v1/openapi.json serves it (OpenAPI 3.0).
extern const std::string_view openapi_json;

}  // namespace locker::server
