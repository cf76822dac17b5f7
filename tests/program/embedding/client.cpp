// The C++ client, blocking and with coroutines, against a server in the same program.
//
//   client DIRECTORY

#include <atomic>
#include <chrono>
#include <iostream>
#include <memory>
#include <thread>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>

#include "client/library/lease_keeper.hpp"
#include "client/library/lock.hpp"
#include "server/http/http_server.hpp"
#include "server/locker.hpp"

using namespace locker;
using namespace std::chrono_literals;

namespace {

int failures = 0;

void expect(bool as_expected, const char* what) {
  if (as_expected) return;
  std::cerr << "not as expected: " << what << "\n";
  ++failures;
}

void use_blocking(const client::ServerAddress& address, server::Locker& locker) {
  auto lock = client::lock(address, {.paths = {"/a"}, .owner = "me"}, {.wait = 1min});
  expect(bool{lock}, "a free lock is granted");
  expect((*lock)->fence() > 0 && !(*lock)->is_lost(), "it has a fence and is held");
  expect(locker.dohaz("/a") == R"({"lockedBy": "me"})", "the server knows it");
  const auto refused = client::lock(address, {.paths = {"/a/b"}});
  expect(!refused && refused.error().kind == client::Failure::Kind::not_acquired,
         "another is refused");
  expect(bool{(*lock)->release()}, "it is released");
  expect(locker.dohaz("/a") == R"({"lockedBy": null})", "it is free again");
}

void lose_one(const client::ServerAddress& address) {
  std::atomic<bool> is_told = false;
  auto lock = client::lock(address, {.paths = {"/lost"}, .ttl = "6s"}, {},
                           [&is_told](const client::Failure&) { is_told = true; });
  std::this_thread::sleep_for(7s);
  expect(lock && !(*lock)->is_lost(), "it is renewed");
  const client::ForceFilter all{.path = "/lost"};
  expect(client::call(address, client::force_call(all, "test"))->status == 200, "it is forced");
  for (int i = 0; i < 1'000 && !is_told; ++i) std::this_thread::sleep_for(10ms);
  expect(is_told && (*lock)->is_lost(), "the holder is told that it is lost");
  const auto released = (*lock)->release();
  expect(!released && released.error().kind == client::Failure::Kind::lost, "and again at the end");
}

// The client and the server live as long as main() below.
client::net::awaitable<void> use_coroutines(client::net::io_context& io_context,
                                            client::ServerAddress address) {
  client::HttpClient connection{io_context, address};
  client::Wanted wanted;
  wanted.paths = {"/b", "/c"};
  client::Acquisition::Options how;
  client::Acquisition acquisition{connection, wanted, how};
  client::Result<client::Grant> granted = co_await acquisition.async_run();
  expect(granted && granted->paths.size() == 2, "two locks are granted at once");
  const client::Call release = client::release_call(granted->token);
  client::Result<client::Reply> released = co_await connection.async_call(release, 5s);
  expect(released && released->status == 200, "and released");
}

}  // namespace

int main(int, char** argv) {
  auto opened = server::Locker::open({.file = argv[1]});
  if (!opened) {
    std::cerr << opened.error().message << "\n";
    return 1;
  }
  server::Locker& locker = **opened;
  server::HttpServer http{locker.handler(), locker.commit(), {.threads = 1}};
  const server::tcp::endpoint any_port{boost::asio::ip::address_v4::loopback(), 0};
  if (const auto error = http.start(any_port)) {
    std::cerr << error.message() << "\n";
    return 1;
  }
  const auto address =
      client::parse_server_address("http://127.0.0.1:" + std::to_string(http.endpoint().port()));
  use_blocking(*address, locker);
  lose_one(*address);
  client::net::io_context io_context{1};
  bool is_done = false;
  boost::asio::co_spawn(io_context, use_coroutines(io_context, *address),
                        [&is_done](const std::exception_ptr& error) { is_done = !error; });
  io_context.run();
  expect(is_done, "the coroutine ends well");
  http.stop();
  return failures == 0 ? 0 : 1;
}
