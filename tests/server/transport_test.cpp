#include "server/http/transport.hpp"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <optional>
#include <string>

#include <boost/asio/io_context.hpp>

#include "tests/server/tls_fixture.hpp"

namespace locker::server {
namespace {

using TransportTest = TlsFixture;

TEST_F(TransportTest, AWriteThatWasReadyWhenItsConnectionClosedUsesNoDescriptor) {
  const int connection = descriptors_[0];
  std::array<int, 2> others{-1, -1};
  ASSERT_EQ(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, others.data()), 0);
  net::io_context io_context{1};
  std::optional<Transport> transport{std::in_place, Socket{io_context, tcp::v4(), connection},
                                     std::move(channel_)};

  const std::string text(std::size_t{4} << 20U, 'x');
  std::size_t written = 0;
  while (!error_) written += transport->write_some(net::buffer(text) + written, error_);
  ASSERT_EQ(error_, net::error::would_block);
  std::optional<boost::system::error_code> told;
  transport->async_write_some(
      net::buffer(text) + written,
      [&](const boost::system::error_code& error, std::size_t) { told = error; });
  // If both are ready Asio calls this one first. By then the other one is under way.
  transport->socket().async_wait(Socket::wait_error, [&](const boost::system::error_code& error) {
    ASSERT_FALSE(error);
    transport->close();
    ASSERT_EQ(dup2(others[0], connection), connection);  // as the next connection would get it
  });
  ASSERT_EQ(shutdown(descriptors_[1], SHUT_RDWR), 0);
  io_context.run();

  EXPECT_EQ(told, net::error::operation_aborted);
  char byte = 0;
  EXPECT_EQ(recv(others[1], &byte, 1, 0), -1);
  EXPECT_EQ(errno, EAGAIN);
  transport.reset();
  for (const int descriptor : others) ::close(descriptor);
}

TEST(Transport, AHostThatAnswersNothingIsGivenUpAfterThirtySeconds) {
  net::io_context io_context{1};
  const auto executor = io_context.get_executor();
  Acceptor acceptor{executor, {net::ip::address_v4::loopback(), 0}};
  Socket client{executor};
  client.connect(acceptor.local_endpoint());
  Transport transport{acceptor.accept(), nullptr};
  transport.notice_dead_host();
  const auto option = [&](int level, int name) {
    int value = 0;
    socklen_t size = sizeof value;
    EXPECT_EQ(getsockopt(transport.socket().native_handle(), level, name, &value, &size), 0);
    return value;
  };
  EXPECT_EQ(option(SOL_SOCKET, SO_KEEPALIVE), 1);
  EXPECT_EQ(option(IPPROTO_TCP, TCP_KEEPIDLE) +
                option(IPPROTO_TCP, TCP_KEEPINTVL) * option(IPPROTO_TCP, TCP_KEEPCNT),
            30);
  EXPECT_EQ(option(IPPROTO_TCP, TCP_USER_TIMEOUT), 30'000);
}

}  // namespace
}  // namespace locker::server
