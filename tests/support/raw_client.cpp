#include "tests/support/raw_client.hpp"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cstdlib>
#include <stdexcept>
#include <utility>

namespace locker::test {

std::string Answer::field(std::string_view name) const {
  const std::string start = "\r\n" + std::string{name} + ": ";
  const std::size_t at = head.find(start);
  if (at == std::string::npos) return "";
  const std::size_t value = at + start.size();
  return head.substr(value, head.find("\r\n", value) - value);
}

bool Answer::has_field(std::string_view name) const {
  return head.find("\r\n" + std::string{name} + ": ") != std::string::npos;
}

RawClient::RawClient() : descriptor_(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
  if (descriptor_ < 0) throw std::runtime_error{"no socket"};
  const timeval patience{60, 0};
  ::setsockopt(descriptor_, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
  ::setsockopt(descriptor_, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof patience);
  const int yes = 1;
  ::setsockopt(descriptor_, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof yes);
}

RawClient::~RawClient() { close(); }

void RawClient::close() {
  if (descriptor_ >= 0) ::close(std::exchange(descriptor_, -1));
}

void RawClient::reset() {
  const linger at_once{1, 0};
  ::setsockopt(descriptor_, SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once);
  close();
}

RawClient::RawClient(RawClient&& other) noexcept
    : descriptor_(std::exchange(other.descriptor_, -1)), received_(std::move(other.received_)) {}

void RawClient::connect(std::uint16_t port) {
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(port);
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  if (::connect(descriptor_, reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0) {
    throw std::runtime_error{"not connected"};
  }
}

bool RawClient::send(std::string_view bytes) {
  while (!bytes.empty()) {
    const ssize_t sent = ::send(descriptor_, bytes.data(), bytes.size(), MSG_NOSIGNAL);
    if (sent <= 0) return false;
    bytes.remove_prefix(static_cast<std::size_t>(sent));
  }
  return true;
}

std::size_t RawClient::send_some(std::string_view bytes) {
  const ssize_t sent = ::send(descriptor_, bytes.data(), bytes.size(), MSG_NOSIGNAL | MSG_DONTWAIT);
  return sent < 0 ? 0 : static_cast<std::size_t>(sent);
}

bool RawClient::can_send(int milliseconds) {
  pollfd poll_for{descriptor_, POLLOUT, 0};
  return ::poll(&poll_for, 1, milliseconds) == 1;
}

void RawClient::shut_down_sending() { ::shutdown(descriptor_, SHUT_WR); }

bool RawClient::receive() {
  char buffer[65536];
  const ssize_t size = ::recv(descriptor_, buffer, sizeof buffer, 0);
  if (size <= 0) return false;
  received_.append(buffer, static_cast<std::size_t>(size));
  return true;
}

std::optional<Answer> RawClient::read_answer(bool to_head) {
  std::size_t end = std::string::npos;
  while ((end = received_.find("\r\n\r\n")) == std::string::npos) {
    if (!receive()) return std::nullopt;
  }
  Answer answer;
  answer.head = received_.substr(0, end + 2);
  answer.status = std::atoi(answer.head.c_str() + sizeof "HTTP/1.1");
  received_.erase(0, end + 4);
  const std::size_t size =
      to_head ? 0 : static_cast<std::size_t>(std::atoll(answer.field("Content-Length").c_str()));
  while (received_.size() < size) {
    if (!receive()) return std::nullopt;
  }
  answer.body = received_.substr(0, size);
  received_.erase(0, size);
  return answer;
}

std::string RawClient::read(std::size_t size) {
  while (received_.size() < size && receive()) {
  }
  std::string bytes = received_.substr(0, size);
  received_.erase(0, size);
  return bytes;
}

std::string RawClient::read_to_end() {
  while (receive()) {
  }
  return std::exchange(received_, {});
}

bool RawClient::is_at_end() {
  if (!received_.empty()) return false;
  char byte = 0;
  return ::recv(descriptor_, &byte, 1, 0) == 0;
}

bool RawClient::is_reset() {
  pollfd poll_for{descriptor_, 0, 0};
  return ::poll(&poll_for, 1, 0) == 1 && (poll_for.revents & POLLERR) != 0;
}

bool RawClient::has_something() {
  pollfd poll_for{descriptor_, POLLIN, 0};
  return !received_.empty() || ::poll(&poll_for, 1, 0) == 1;
}

std::optional<Answer> RawClient::ask(std::string_view request) {
  if (!send(request)) return std::nullopt;
  return read_answer();
}

std::string get(std::string_view target, std::string_view fields) {
  std::string request = "GET ";
  request += target;
  request += " HTTP/1.1\r\nHost: locker\r\n";
  request += fields;
  request += "\r\n";
  return request;
}

}  // namespace locker::test
