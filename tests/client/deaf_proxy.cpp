#include "tests/client/deaf_proxy.hpp"

#include <poll.h>
#include <sys/socket.h>

#include <array>

#include <boost/asio/buffer.hpp>
#include <boost/asio/write.hpp>

namespace locker::test {
namespace {

namespace net = boost::asio;

std::string read_piece(net::ip::tcp::socket& from) {
  std::array<char, 65'536> piece;
  boost::system::error_code error;
  const std::size_t size = from.read_some(net::buffer(piece), error);
  return {piece.data(), size};
}

bool comes_within(std::chrono::milliseconds time, net::ip::tcp::socket& from) {
  pollfd watched{from.native_handle(), POLLIN, 0};
  return ::poll(&watched, 1, static_cast<int>(time.count())) > 0;
}

}  // namespace

DeafProxy::DeafProxy(unsigned short server_port)
    : acceptor_(io_context_, {net::ip::address_v4::loopback(), 0}),
      server_port_(server_port),
      accepting_(&DeafProxy::accept, this) {}

DeafProxy::~DeafProxy() {
  ::shutdown(acceptor_.native_handle(), SHUT_RDWR);  // ends accept(), which a close would not
  accepting_.join();
  for (tcp::socket& client : clients_) ::shutdown(client.native_handle(), SHUT_RDWR);
  for (std::thread& thread : threads_) thread.join();
}

void DeafProxy::lose_answers_to(const std::string& begin) {
  const std::lock_guard lock{mutex_};
  lost_ = begin;
}

bool DeafProxy::is_lost(const std::string& request) {
  const std::lock_guard lock{mutex_};
  return request.starts_with(lost_);
}

void DeafProxy::accept() {
  for (;;) {
    boost::system::error_code error;
    tcp::socket client = acceptor_.accept(error);
    if (error) return;
    clients_.push_back(std::move(client));
    threads_.emplace_back(&DeafProxy::forward, this, std::ref(clients_.back()));
  }
}

void DeafProxy::forward(tcp::socket& client) {
  boost::system::error_code failed;
  tcp::socket server{io_context_};
  server.connect({net::ip::address_v4::loopback(), server_port_}, failed);
  while (!failed) {
    const std::string request = read_piece(client);
    if (request.empty()) break;
    net::write(server, net::buffer(request), failed);
    if (!comes_within(answer_time_max_, server)) break;
    const std::string answer = read_piece(server);
    if (answer.empty() || is_lost(request)) break;
    net::write(client, net::buffer(answer), failed);
  }
  ::shutdown(client.native_handle(), SHUT_RDWR);
}

}  // namespace locker::test
