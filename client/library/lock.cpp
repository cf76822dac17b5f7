#include "client/library/lock.hpp"

#include <unistd.h>

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

constexpr milliseconds release_patience{10'000};
constexpr milliseconds pause{200};

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

/// The paths for release_call(): all of a lease of its own.
std::vector<std::string> to_release(const Grant& grant, bool has_joined) {
  return has_joined ? grant.paths : std::vector<std::string>{""};
}

}  // namespace

/// Shared by the lock and its thread: a lock that is destroyed by its own callback goes first.
struct Lock::Keeping {
  Keeping(const ServerAddress& address, const Grant& grant, OnLost told)
      : keeper(io_context, address, grant), ends_at(keeper.ends_at()), on_lost(std::move(told)) {}

  void work() {
    current = this;
    net::co_spawn(io_context, keeper.async_run(),
                  [this](const std::exception_ptr& error, std::optional<Failure> failure) {
                    if (error) std::rethrow_exception(error);
                    if (!failure) return;
                    is_lost = true;
                    if (on_lost) on_lost(*failure);
                  });
    while (io_context.run_one() != 0) ends_at = keeper.ends_at();
  }

  /// Whether this is what on_lost does.
  [[nodiscard]] bool is_own_thread() const { return current == this; }

  void end_thread() {
    net::post(io_context, [this] { keeper.stop(); });
    if (thread.joinable()) thread.join();
  }

  static thread_local const Keeping* current;
  net::io_context io_context{1};
  LeaseKeeper keeper;
  std::atomic<BootClock::time_point> ends_at;
  std::atomic<bool> is_lost = false;
  const OnLost on_lost;
  std::atomic<bool> is_released = false;
  std::shared_ptr<Keeping> kept_for_ever;  ///< Itself, in a process where it cannot be destroyed.
  const pid_t process = ::getpid();
  std::mutex mutex;  // of the thread's end
  std::thread thread;
};

thread_local const Lock::Keeping* Lock::Keeping::current = nullptr;

Lock::Lock(const ServerAddress& address, Grant grant, bool has_joined, OnLost on_lost)
    : address_(address),
      grant_(std::move(grant)),
      has_joined_(has_joined),
      keeping_(std::make_shared<Keeping>(address, grant_, std::move(on_lost))) {
  keeping_->thread = std::thread{&Keeping::work, keeping_};
}

Lock::~Lock() {
  if (is_of_another_process()) {  // its thread is not there, and can be neither joined nor detached
    keeping_->kept_for_ever = keeping_;
    return;
  }
  try {
    const Result<void> released = release();
    static_cast<void>(released);  // who wants to know calls it
    if (keeping_->is_own_thread()) keeping_->thread.detach();
  } catch (const std::exception&) {
    // No memory to ask with: it ends by its TTL.
  }
}

bool Lock::is_of_another_process() const { return keeping_->process != ::getpid(); }

bool Lock::is_lost() const {
  return is_of_another_process() || keeping_->is_released || keeping_->is_lost ||
         BootClock::now() >= keeping_->ends_at.load();
}

/// Asks again while there is no answer.
Result<Reply> Lock::ask(const Call& request) const {
  const auto until = SteadyClock::now() + release_patience;
  for (;;) {
    Result<Reply> answered = call(address_, request, release_patience);
    const bool is_over =
        SteadyClock::now() + pause >= until || BootClock::now() >= keeping_->ends_at.load();
    if (!is_away(answered) || is_over) return answered;
    std::this_thread::sleep_for(pause);
  }
}

Result<void> Lock::release() {
  if (is_of_another_process()) {
    return Failure{Failure::Kind::lost, 0, "forked",
                   "The process that this one was forked from has this lock; release it there."};
  }
  const bool was_lost = is_lost();
  const bool was_released = keeping_->is_released.exchange(true);
  // A thread cannot wait for its own end, nor for who waits for that; and it renews no more then.
  if (!keeping_->is_own_thread()) {
    const std::lock_guard lock{keeping_->mutex};
    keeping_->end_thread();
  }
  if (was_released) return {};
  Result<void> released;
  for (const std::string& path : to_release(grant_, has_joined_)) {
    const auto answered = ask(release_call(grant_.token, path));
    if (answered && answered->status == 200) continue;
    Failure failure = answered ? answered->failure() : answered.error();
    if (was_lost) failure.kind = Failure::Kind::lost;
    if (released) released = std::move(failure);
  }
  return released;
}

Result<std::unique_ptr<Lock>> lock(const ServerAddress& address, const Wanted& wanted,
                                   const Acquisition::Options& options, Lock::OnLost on_lost) {
  net::io_context io_context{1};
  HttpClient client{io_context, address};
  Acquisition acquisition{client, wanted, options};
  Result<Grant> granted = run(io_context, acquisition.async_run());
  if (!granted) return granted.error();
  const bool has_joined = !options.token.empty();
  try {
    return std::unique_ptr<Lock>{new Lock{address, *granted, has_joined, std::move(on_lost)}};
  } catch (const std::exception&) {  // no thread is to be had: nobody else would give it back
    for (const std::string& path : to_release(*granted, has_joined)) {
      static_cast<void>(call(address, release_call(granted->token, path)));
    }
    throw;
  }
}

Result<Reply> call(const ServerAddress& address, const Call& request, milliseconds timeout) {
  net::io_context io_context{1};
  HttpClient client{io_context, address};
  return run(io_context, client.async_call(request, timeout));
}

}  // namespace locker::client
