// Locker behind a program's own Asio server: one io_context serves Locker's HTTP API on a socket
// that the program accepted itself, next to whatever else the program does on it.

#include <iostream>
#include <string>
#include <thread>

#include <boost/asio/read.hpp>
#include <boost/asio/write.hpp>

#include "server/http/worker.hpp"
#include "server/locker.hpp"

namespace server = locker::server;
namespace net = boost::asio;

int main(int argc, char** argv) {
  auto opened = server::Locker::open({.file = argc > 1 ? argv[1] : "locks.db"});
  if (!opened) {
    std::cerr << opened.error().message << "\n";
    return 1;
  }
  server::Locker& locker = **opened;

  net::io_context io_context{1};
  server::Worker worker{io_context, locker.handler(), locker.commit(), {}};
  server::Acceptor acceptor{io_context.get_executor(), {net::ip::address_v4::loopback(), 0}};
  const auto endpoint = acceptor.local_endpoint();
  acceptor.async_accept([&](const auto& error, server::Socket socket) {
    if (!error) worker.adopt(std::move(socket));
  });
  std::thread thread{[&io_context] { io_context.run(); }};

  net::io_context client_context;
  net::ip::tcp::socket client{client_context};
  client.connect(endpoint);
  const std::string request =
      "GET /canhaz/mounted?id=me HTTP/1.1\r\nHost: here\r\nConnection: close\r\n\r\n";
  net::write(client, net::buffer(request));
  std::string reply;
  boost::system::error_code end;
  net::read(client, net::dynamic_buffer(reply), end);
  thread.join();
  std::cout << reply << "\n" << locker.dohaz("/mounted") << "\n";
  const bool as_expected = reply.find(R"({"ok": true, "token": ")") != std::string::npos &&
                           locker.dohaz("/mounted") == R"({"lockedBy": "me"})";
  return as_expected ? 0 : 1;
}
