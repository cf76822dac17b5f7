// What HTTP costs at least on this machine: two threads, each with a listening socket and an epoll
// of its own, which look for the ends of requests and answer each with the same bytes. It checks
// nothing and has no limits; it is no server.
//
//   constant_server PORT

#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

namespace {

constexpr std::string_view answer =
    "HTTP/1.1 200 OK\r\n"
    "Content-Type: application/json\r\n"
    "Content-Length: 18\r\n"
    "\r\n"
    R"({"lockedBy": null})";
constexpr std::string_view request_end = "\r\n\r\n";
constexpr int threads = 2;

int require(int result, const char* what) {
  if (result >= 0) return result;
  std::perror(what);
  std::exit(1);
}

int listen_on(std::uint16_t port) {
  const int listener = require(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), "socket");
  const int on = 1;
  require(setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on), "SO_REUSEADDR");
  require(setsockopt(listener, SOL_SOCKET, SO_REUSEPORT, &on, sizeof on), "SO_REUSEPORT");
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(port);
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  require(bind(listener, reinterpret_cast<sockaddr*>(&address), sizeof address), "bind");
  require(listen(listener, 4096), "listen");
  return listener;
}

void watch(int poll, int descriptor) {
  epoll_event event{};
  event.events = EPOLLIN;
  event.data.fd = descriptor;
  require(epoll_ctl(poll, EPOLL_CTL_ADD, descriptor, &event), "epoll_ctl");
}

/// How many requests end in these bytes; `matched` is how much of an end stood before them.
std::size_t requests_in(std::string_view bytes, std::size_t& matched) {
  std::size_t count = 0;
  for (const char byte : bytes) {
    matched = byte == request_end[matched] ? matched + 1 : (byte == '\r' ? 1 : 0);
    if (matched == request_end.size()) {
      matched = 0;
      ++count;
    }
  }
  return count;
}

/// False when the connection is over.
bool serve(int connection, std::size_t& matched) {
  thread_local std::array<char, 64 * 1024> bytes;
  thread_local std::string output;
  const ssize_t size = recv(connection, bytes.data(), bytes.size(), 0);
  if (size <= 0) return false;
  output.clear();
  for (std::size_t left = requests_in({bytes.data(), static_cast<std::size_t>(size)}, matched);
       left > 0; --left) {
    output += answer;
  }
  if (output.empty()) return true;
  return send(connection, output.data(), output.size(), MSG_NOSIGNAL) ==
         static_cast<ssize_t>(output.size());
}

void run(std::uint16_t port) {
  const int listener = listen_on(port);
  const int poll = require(epoll_create1(EPOLL_CLOEXEC), "epoll_create1");
  watch(poll, listener);
  std::vector<std::size_t> matched;  // by descriptor
  std::array<epoll_event, 256> events;
  for (;;) {
    const int ready = epoll_wait(poll, events.data(), static_cast<int>(events.size()), -1);
    for (int i = 0; i < ready; ++i) {
      const int descriptor = events[static_cast<std::size_t>(i)].data.fd;
      if (descriptor == listener) {
        const int connection = accept4(listener, nullptr, nullptr, SOCK_CLOEXEC);
        if (connection < 0) continue;
        const int on = 1;
        setsockopt(connection, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
        const auto index = static_cast<std::size_t>(connection);
        if (matched.size() <= index) matched.resize(index + 1);
        matched[index] = 0;
        watch(poll, connection);
      } else if (!serve(descriptor, matched[static_cast<std::size_t>(descriptor)])) {
        close(descriptor);
      }
    }
  }
}

}  // namespace

int main(int argc, char** argv) {
  if (argc < 2) {
    std::fputs("usage: constant_server PORT\n", stderr);
    return 64;
  }
  const auto port = static_cast<std::uint16_t>(std::atoi(argv[1]));
  std::vector<std::jthread> workers;
  for (int i = 0; i < threads; ++i) workers.emplace_back(run, port);
}
