#include "server/openapi.hpp"

namespace locker::server {

const std::string_view openapi_json = "{}";

}  // namespace locker::server
