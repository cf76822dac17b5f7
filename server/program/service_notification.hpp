#pragma once

#include <string_view>

namespace locker::server {

/// Notifies the service manager that started us of our state, as sd_notify(3) does: "READY=1",
/// "STOPPING=1". Sends one datagram to the socket that NOTIFY_SOCKET names, and does nothing
/// without it. The protocol has no reply.
void notify_service_manager(std::string_view state);

}  // namespace locker::server
