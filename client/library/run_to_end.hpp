#pragma once

#include <exception>
#include <optional>
#include <utility>

#include <boost/asio/awaitable.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>

namespace locker::client {

namespace net = boost::asio;

/// Rethrows a coroutine's exception from its completion handler, so that it leaves run(). Is itself
/// a completion handler for coroutines that return void.
inline void rethrow(const std::exception_ptr& error) {
  if (error) std::rethrow_exception(error);
}

/// Runs a coroutine, and all other work of the io_context, to the end on the calling thread.
/// Returns the coroutine's result or throws its exception.
template <typename T>
[[nodiscard]] T run_to_end(net::io_context& io_context, net::awaitable<T> work) {
  std::optional<T> result;
  net::co_spawn(io_context, std::move(work), [&result](const std::exception_ptr& error, T value) {
    rethrow(error);
    result.emplace(std::move(value));
  });
  io_context.restart();
  io_context.run();
  return std::move(*result);
}

}  // namespace locker::client
