#include "server/program/service_notification.hpp"

#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cerrno>
#include <cstddef>
#include <cstdlib>
#include <cstring>

#include <spdlog/spdlog.h>

namespace locker::server {

void notify_service_manager(std::string_view state) {
  const char* const named = std::getenv("NOTIFY_SOCKET");  // NOLINT(concurrency-mt-unsafe): as ours
  if (named == nullptr) return;
  const std::string_view path = named;
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  if (path.empty()) return;
  if (path.size() >= sizeof address.sun_path) {
    spdlog::warn("the service manager cannot be notified of {}: its address {} is too long", state,
                 path);
    return;
  }
  std::memcpy(address.sun_path, path.data(), path.size());
  if (path.front() == '@') address.sun_path[0] = '\0';  // an abstract socket
  const auto size = static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + path.size());
  const int descriptor = ::socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  const bool is_told =
      descriptor >= 0 && ::sendto(descriptor, state.data(), state.size(), MSG_NOSIGNAL,
                                  reinterpret_cast<const sockaddr*>(&address), size) >= 0;
  if (!is_told) {
    spdlog::warn("the service manager at {} cannot be notified of {}: {}", path, state,
                 std::strerror(errno));  // NOLINT(concurrency-mt-unsafe): read at once
  }
  if (descriptor >= 0) ::close(descriptor);
}

}  // namespace locker::server
