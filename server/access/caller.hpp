#pragma once

#include <memory>

#include "server/access/access_key.hpp"

namespace locker::server {

/// The client on whose behalf a request is carried out.
struct Caller {
  std::shared_ptr<const AccessKey> key;  ///< Null without --keys: everything is permitted.
  bool is_audited = false;               ///< The handler has to fill in Response::audit.
};

}  // namespace locker::server
