#pragma once

#include <exception>
#include <optional>
#include <utility>

#include <boost/asio/awaitable.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>

namespace locker::client {

namespace net = boost::asio;

/// For a coroutine's completion handler: what it threw leaves the run() that drives it. Given as
/// the handler itself, it is for a coroutine that returns nothing.
inline void rethrow(const std::exception_ptr& error) {
  if (error) std::rethrow_exception(error);
}

/// Runs a coroutine on this thread until neither it nor anything else in the io_context has work
/// left; returns its result, or throws what it threw.
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
