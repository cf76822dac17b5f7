#include "client/library/lock.hpp"

#include <atomic>
#include <exception>
#include <mutex>
#include <thread>
#include <utility>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/post.hpp>

#include "client/library/lease_keeper.hpp"

namespace locker::client {
namespace {

/// Runs a coroutine to its end on this thread.
template <typename T>
T run(net::io_context& io_context, net::awaitable<T> work) {
  std::optional<T> result;
  net::co_spawn(io_context, std::move(work), [&result](const std::exception_ptr& error, T value) {
    if (error) std::rethrow_exception(error);
    result.emplace(std::move(value));
  });
  io_context.run();
  return std::move(*result);
}

}  // namespace

struct Lock::Keeping {
  Keeping(const ServerAddress& address, const Grant& grant, OnLost told)
      : keeper(io_context, address, grant), ends_at(keeper.ends_at()), on_lost(std::move(told)) {}

  void work() {
    net::co_spawn(io_context, keeper.async_run(),
                  [this](const std::exception_ptr& error, std::optional<Failure> failure) {
                    if (error) std::rethrow_exception(error);
                    if (!failure) return;
                    is_lost = true;
                    if (on_lost) on_lost(*failure);
                  });
    while (io_context.run_one() != 0) ends_at = keeper.ends_at();
  }

  net::io_context io_context{1};
  LeaseKeeper keeper;
  std::atomic<SteadyClock::time_point> ends_at;
  std::atomic<bool> is_lost = false;
  const OnLost on_lost;
  std::mutex mutex;  // of release()
  bool is_released = false;
  std::thread thread;
};

Lock::Lock(const ServerAddress& address, Grant grant, OnLost on_lost)
    : address_(address),
      grant_(std::move(grant)),
      keeping_(std::make_unique<Keeping>(address, grant_, std::move(on_lost))) {
  keeping_->thread = std::thread{&Keeping::work, keeping_.get()};
}

Lock::~Lock() {
  Result<void> released = release();
  static_cast<void>(released);  // who wants to know calls it
}

bool Lock::is_lost() const {
  return keeping_->is_lost || SteadyClock::now() >= keeping_->ends_at.load();
}

Result<void> Lock::release() {
  const std::lock_guard lock{keeping_->mutex};
  if (std::exchange(keeping_->is_released, true)) return {};
  net::post(keeping_->io_context, [this] { keeping_->keeper.stop(); });
  keeping_->thread.join();
  const auto answered = call(address_, release_call(grant_.token));
  if (!answered) return answered.error();
  if (answered->status != 200) return answered->failure();
  return {};
}

Result<std::unique_ptr<Lock>> lock(const ServerAddress& address, const Wanted& wanted,
                                   const Acquisition::Options& options, Lock::OnLost on_lost) {
  net::io_context io_context{1};
  HttpClient client{io_context, address};
  Acquisition acquisition{client, wanted, options};
  Result<Grant> granted = run(io_context, acquisition.async_run());
  if (!granted) return granted.error();
  return std::unique_ptr<Lock>{new Lock{address, std::move(*granted), std::move(on_lost)}};
}

Result<Reply> call(const ServerAddress& address, const Call& request, milliseconds timeout) {
  net::io_context io_context{1};
  HttpClient client{io_context, address};
  return run(io_context, client.async_call(request, timeout));
}

}  // namespace locker::client
