#include "client/library/lock.hpp"

#include <unistd.h>

#include <atomic>
#include <exception>
#include <functional>
#include <mutex>
#include <thread>
#include <utility>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/post.hpp>
#include <boost/system/system_error.hpp>

#include "client/library/background_returns.hpp"
#include "client/library/lease_keeper.hpp"
#include "client/library/run_to_end.hpp"

namespace locker::client {
namespace {

constexpr milliseconds release_time_max{10'000};
constexpr milliseconds pause_between_tries{200};

/// What lock() acquires with.
struct Asking {
  Asking(const ServerAddress& address, Wanted wanted, const Acquisition::Options& options)
      : client(io_context, address), acquisition(client, std::move(wanted), options) {}

  net::io_context io_context{1};
  HttpClient client;
  Acquisition acquisition;
};

/// The paths in one spelling, for comparison.
std::vector<std::string> spelled(std::vector<std::string> paths) {
  for (std::string& path : paths) path = url_path(path);
  return paths;
}

/// Withdraws, in the background, an acquire that got no answer.
void give_up_later(const std::shared_ptr<Asking>& asking, const Wanted& wanted) {
  BackgroundReturns::all().begin(asking->acquisition.token(), spelled(wanted.paths), [asking] {
    HttpClient another{asking->io_context, asking->client.address()};
    return run_to_end(asking->io_context, asking->acquisition.async_give_up(another));
  });
}

void release_later(const ServerAddress& address, const std::string& token,
                   const std::string& path) {
  BackgroundReturns::all().begin(token, {path}, [address, release = release_call(token, path)] {
    return !is_away_or_full(call(address, release, milliseconds{2'000}));
  });
}

}  // namespace

/// Shared by the lock and its thread, because on_lost may destroy the lock.
struct Lock::Keeping {
  Keeping(const ServerAddress& address, const Grant& grant, OnLost told)
      : keeper(io_context, address, grant), ends_at(keeper.ends_at()), on_lost(std::move(told)) {}

  void work() {
    current = this;
    net::co_spawn(io_context, keeper.async_run(),
                  [this](const std::exception_ptr& error, std::optional<Failure> failure) {
                    rethrow(error);
                    if (!failure) return;
                    is_lost = true;
                    if (on_lost) on_lost(*failure);
                  });
    while (io_context.run_one() != 0) ends_at = keeper.ends_at();
  }

  /// Whether the caller is on_lost.
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
  std::shared_ptr<Keeping> kept_for_ever;  ///< Itself, in a forked child, which cannot destroy it.
  const pid_t process = ::getpid();
  std::mutex mutex;  // serialises end_thread()
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
  if (is_of_another_process()) {  // a forked child has no such thread to join or detach
    keeping_->kept_for_ever = keeping_;
    return;
  }
  try {
    if (keeping_->is_own_thread()) keeping_->thread.detach();
    const Result<void> released = release();
    static_cast<void>(released);  // a caller that needs the result calls it
  } catch (const std::exception&) {
    // Out of memory: the lock ends by its TTL.
  }
}

bool Lock::is_of_another_process() const { return keeping_->process != ::getpid(); }

bool Lock::is_lost() const {
  return is_of_another_process() || keeping_->is_released || keeping_->is_lost ||
         BootClock::now() >= keeping_->ends_at.load();
}

/// Retries while there is no answer, or the server's disk is full.
Result<Reply> Lock::ask(const Call& request) const {
  const auto until = SteadyClock::now() + release_time_max;
  for (;;) {
    const auto left = std::chrono::ceil<milliseconds>(until - SteadyClock::now());
    Result<Reply> answered = call(address_, request, left);
    const bool is_over = SteadyClock::now() + pause_between_tries >= until ||
                         BootClock::now() >= keeping_->ends_at.load();
    if (!is_away_or_full(answered) || is_over) return answered;
    std::this_thread::sleep_for(pause_between_tries);
  }
}

Result<void> Lock::release() {
  if (is_of_another_process()) {
    return Failure{Failure::Kind::lost, 0, "forked",
                   "The process that this one was forked from has this lock; release it there."};
  }
  const bool was_lost = is_lost();
  const bool was_released = keeping_->is_released.exchange(true);
  // The thread can neither join itself nor wait for a caller that joins it. It does not renew while
  // it runs on_lost.
  if (!keeping_->is_own_thread()) {
    const std::lock_guard lock{keeping_->mutex};
    keeping_->end_thread();
  }
  if (was_released) return {};
  Result<void> released;
  for (const std::string& path : paths_to_release(grant_, has_joined_)) {
    const auto answered = ask(release_call(grant_.token, path));
    if (answered && answered->status == 200) {
      if (has_joined_ || !tells_of_loss(*answered, grant_)) continue;
      if (auto loss = find_loss(address_, grant_)) return std::move(*loss);
      continue;
    }
    // A lease of its own ends by its TTL, if it has one.
    const bool stays = has_joined_ || keeping_->ends_at.load() == BootClock::time_point::max();
    if (is_away_or_full(answered) && stays) release_later(address_, grant_.token, path);
    Failure failure = answered ? answered->failure() : answered.error();
    if (was_lost) failure.kind = Failure::Kind::lost;
    if (released) released = std::move(failure);
  }
  return released;
}

Result<std::unique_ptr<Lock>> lock(const ServerAddress& address, const Wanted& wanted,
                                   const Acquisition::Options& options, Lock::OnLost on_lost) {
  const bool has_joined = !options.token.empty();
  Wanted asked = wanted;
  if (has_joined) {
    asked.ttl.clear();  // the keeper of the lease would renew too late for a shorter one
    BackgroundReturns::all().end_those_of(options.token, spelled(wanted.paths));
  }
  auto asking = std::make_shared<Asking>(address, std::move(asked), options);
  Result<Grant> granted = run_to_end(asking->io_context, asking->acquisition.async_run());
  if (!granted) {
    if (asking->acquisition.may_stay_held(granted.error())) give_up_later(asking, wanted);
    return granted.error();
  }
  try {
    return std::unique_ptr<Lock>{new Lock{address, *granted, has_joined, std::move(on_lost)}};
  } catch (const std::exception&) {  // no thread can be started: release here, nobody else would
    for (const std::string& path : paths_to_release(*granted, has_joined)) {
      static_cast<void>(call(address, release_call(granted->token, path)));
    }
    throw;
  }
}

std::optional<Failure> find_loss(const ServerAddress& address, const Grant& grant) {
  for (const std::string& path : grant.paths) {
    // The answer to a release says what became of the lock.
    const auto answered = call(address, release_call(grant.token, path));
    if (!answered || answered->status == 200) continue;
    Failure loss = answered->failure();
    if (loss.kind == Failure::Kind::lost) return loss;
  }
  return std::nullopt;
}

Result<Reply> call(const ServerAddress& address, const Call& request, milliseconds timeout) {
  try {
    net::io_context io_context{1};
    HttpClient client{io_context, address};
    return run_to_end(io_context, client.async_call(request, timeout));
  } catch (const boost::system::system_error& error) {  // out of file descriptors or threads
    return Failure{Failure::Kind::unreachable, 0, "unreachable",
                   "The lock server cannot be called: " + error.code().message() + "."};
  }
}

}  // namespace locker::client
