#pragma once

#include <string_view>

namespace locker::server {

/// The OpenAPI 3.0 description of the API, as served by /v1/openapi.json.
extern const std::string_view openapi_json;

}  // namespace locker::server
