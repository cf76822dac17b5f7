#pragma once

#include <string_view>

namespace locker::server {

/// Tells the service manager that started us how we are, as sd_notify(3) does: "READY=1",
/// "STOPPING=1". One datagram to the socket that NOTIFY_SOCKET names; nothing without one. Nobody
/// waits for an answer, so that there is none.
void notify_service_manager(std::string_view state);

}  // namespace locker::server
