#include "server/service/lock_service.hpp"

#include <algorithm>
#include <exception>
#include <mutex>
#include <utility>

#include "server/service/wall_clock.hpp"

namespace locker::server {
namespace {

using core::Arbiter;

constexpr std::size_t done_after_command = 64;  // the timekeeper does the rest
constexpr std::size_t done_at_once = 256;
// About 4,000 locks, which takes 10 to 20 ms: each slice has a sync of the disk as well.
constexpr std::size_t forced_at_once = 4'000 * Arbiter::steps_of_an_end;
// The mutex is not fair: without this pause a waiting thread would wake only to find it locked
// again.
constexpr std::chrono::microseconds between_forced{200};

}  // namespace

/// Holds the mutex during a decision. An exception, for want of memory, would leave half a
/// decision, perhaps one that the journal will never have: the process ends, and the journal knows
/// what was decided.
class LockService::Decision {
 public:
  explicit Decision(std::mutex& mutex) : lock_(mutex) {}
  ~Decision() {
    if (std::uncaught_exceptions() > exceptions_before_) std::terminate();
  }
  Decision(const Decision&) = delete;
  Decision& operator=(const Decision&) = delete;

 private:
  const std::lock_guard<std::mutex> lock_;
  const int exceptions_before_ = std::uncaught_exceptions();
};

LockService::LockService(std::unique_ptr<Arbiter> arbiter, GroupCommit& commit, EventLog& events,
                         const persistence::Journal& journal, core::Fence first_fence,
                         const Options& options)
    : commit_(commit),
      events_(events),
      journal_(journal),
      options_(options),
      arbiter_owner_(std::move(arbiter)),
      arbiter_(*arbiter_owner_),
      pages_(arbiter_),
      clock_(std::chrono::steady_clock::now()) {
  arbiter_.start(*this, first_fence);
  timekeeper_ = std::jthread([this](const std::stop_token& stop) { keep_time(stop); });
}

core::Now LockService::read_now() {
  const auto read = std::chrono::steady_clock::now();
  return {clock_.read(read, commit_.stood_still(read)),
          wall_for_fences(std::chrono::system_clock::now())};
}

void LockService::after_command(const core::Now& now) {
  auto due = arbiter_.next_due();
  if (due && *due <= now.instant) {
    arbiter_.advance(now, done_after_command);
    due = arbiter_.next_due();
  }
  if (due && *due < wakes_at_) due_.notify_one();
}

/// Ensures that what is recorded under this hold of the mutex reaches the disk, although no request
/// waits for it.
void LockService::commit_soon() {
  commit_wanted_ = true;
  due_.notify_one();
}

void LockService::keep_time(const std::stop_token& stop) {
  std::unique_lock lock{commit_.mutex()};
  std::optional<core::Instant> last;
  while (!stop.stop_requested()) {
    const core::Now now = read_now();
    const bool clock_stands = std::exchange(last, now.instant) == now.instant;
    const Index before = commit_.last_index();
    const bool more_is_forced = advance_forces(now);
    const bool more = arbiter_.advance(now, done_at_once) || more_is_forced;
    std::erase_if(to_take_back_,
                  [&](const TakenBack& what) { return try_to_take_back(what, now); });
    const Index after = commit_.last_index();
    if (after != before || std::exchange(commit_wanted_, false)) {
      lock.unlock();
      commit_.commit_until(after);
      if (more_is_forced) std::this_thread::sleep_for(between_forced);
      lock.lock();
      continue;
    }
    if (more) {
      lock.unlock();  // let others in between
      std::this_thread::yield();
      if (more_is_forced) std::this_thread::sleep_for(between_forced);
      lock.lock();
      continue;
    }
    const core::Instant latest = now.instant + ServiceClock::read_every;
    const auto due = arbiter_.next_due();
    wakes_at_ = std::min(due.value_or(latest), latest);
    const core::Duration later =
        clock_stands ? ServiceClock::read_every / 10 : std::chrono::microseconds{100};
    due_.wait_for(lock, stop, wakes_at_ - now.instant + later, [this] {
      const auto next = arbiter_.next_due();
      return commit_wanted_ || (!forces_.empty() && !forces_wait_) || (next && *next < wakes_at_);
    });
  }
}

/// Runs one slice of the first force. True: there is more to do.
bool LockService::advance_forces(const core::Now& now) {
  if (forces_.empty()) return false;
  Force& force = forces_.front();
  ended_ = force.ended;
  const bool is_over = arbiter_.advance_force(force.forcing, forced_at_once, now);
  ended_ = nullptr;
  // The force goes on when the journal has room again: nobody could say which half of it was done.
  forces_wait_ = force.forcing.forced.outcome == core::Outcome::busy;
  if (!is_over || forces_wait_) return !forces_wait_;
  tell_end(force, now);
  forces_.pop_front();
  return !forces_.empty();
}

void LockService::tell_end(const Force& force, const core::Now& now) {
  if (force.later == nullptr) return;
  force.later->decide({force.forcing.forced, commit_.last_index(), now});
}

void LockService::on_record(const core::Record& record) {
  commit_.add(record);
  if (std::holds_alternative<core::Granted>(record)) {
    ++counts_.granted;
  } else if (const auto* const ended = std::get_if<core::Ended>(&record)) {
    ++counts_.ended[static_cast<std::size_t>(ended->reason)];
  } else if (const auto* const cooling = std::get_if<core::Cooling>(&record)) {
    ++counts_.ended[static_cast<std::size_t>(cooling->reason)];
  } else if (std::holds_alternative<core::LeaseOpened>(record)) {
    ++counts_.leases_opened;
  }
}

void LockService::on_event(const core::Event& event) {
  events_.add(event, commit_.last_index());
  // What a release or a force ends: `cooled` is the end of a lock that cooled already, `left` that
  // of a wait.
  const bool is_wanted =
      event.kind == core::EventKind::released || event.kind == core::EventKind::forced ||
      event.kind == core::EventKind::cooled || event.kind == core::EventKind::left;
  if (ended_ != nullptr && is_wanted && ended_->size() < audited_locks_max) {
    ended_->push_back({std::string{event.path.packed()}, std::string{event.owner}, event.fence});
  }
}

void LockService::on_decided(core::WaiterId waiter, core::Acquired&& acquired) {
  const auto at = awaited_.find(waiter);
  if (at == awaited_.end()) return;
  AwaitedAcquired& awaited = *at->second;
  awaited_.erase(at);
  count(acquired.outcome);
  awaited.decide({std::move(acquired), commit_.last_index(), read_now()});
}

core::Room LockService::room_for(std::size_t bytes, bool reserved) const {
  const std::size_t ends = arbiter_.table().ends_max();
  return journal_.room_beside(commit_.pending_bytes(), bytes, reserved, ends);
}

core::Milliseconds LockService::fitting_ttl(std::optional<core::Milliseconds> asked) const {
  if (asked) return *asked;
  return options_.default_ttl.count() != 0 ? options_.default_ttl : options_.max_ttl;
}

/// Executes one command and what it makes possible: under the mutex, at a single point in time.
template <typename Command>
auto LockService::carry_out(const Command& command, std::vector<AuditedLock>* ended) {
  const Decision decision{commit_.mutex()};
  const core::Now now = read_now();
  const Index before = commit_.last_index();
  ended_ = ended;
  auto answer = command(now);
  ended_ = nullptr;
  const Index index = commit_.last_index();  // before it lets others in
  after_command(now);
  // The caller, or commit_soon() in the command, commits what the command recorded and everything
  // after it.
  if (index == before && commit_.last_index() != index) commit_soon();
  return At<decltype(answer)>{std::move(answer), index, now};
}

LockService::At<LockService::LegacyAcquired> LockService::acquire_legacy(core::PathView path,
                                                                         const core::Shape& shape,
                                                                         std::string_view owner,
                                                                         Blocker& blocker) {
  return carry_out([&](const core::Now& now) {
    const core::Token token = tokens_.next();
    const auto acquired =
        arbiter_.acquire_legacy(path, shape, owner, token, options_.legacy_ttl, now);
    count(acquired.outcome);
    blocker.owner = acquired.blocked_by;
    if (blocker.wants_place && acquired.blocker) {
      blocker.place = arbiter_.table().path_of(*acquired.blocker);
    }
    const bool is_granted = acquired.outcome == core::Outcome::granted;
    return LegacyAcquired{acquired.outcome, token, is_granted ? arbiter_.last_fence() : 0};
  });
}

LockService::At<core::Released> LockService::release_legacy(core::PathView path,
                                                            const core::Token& token) {
  return carry_out([&](const core::Now& now) { return arbiter_.release_legacy(token, path, now); });
}

LockService::Queried LockService::query(core::PathView path, Blocker& blocker) {
  const std::lock_guard lock{commit_.mutex()};
  const auto held = arbiter_.table().legacy_blocker(path);
  if (held) blocker.owner = held->owner;
  if (held && blocker.wants_place) blocker.place = arbiter_.table().path_of(*held);
  return {held.has_value(), commit_.last_index()};
}

LockService::At<core::Acquired> LockService::acquire(core::AcquireCommand& command,
                                                     AwaitedAcquired* later) {
  command.default_ttl = fitting_ttl({});
  return carry_out([&](const core::Now& now) {
    command.fresh_token = tokens_.next();
    core::Acquired acquired = arbiter_.acquire(command, now);
    count(acquired.outcome);
    if (acquired.outcome == core::Outcome::queued) awaited_.emplace(acquired.waiter, later);
    return acquired;
  });
}

bool LockService::abandon(core::WaiterId waiter) {
  const auto abandoned = carry_out([&](const core::Now& now) {
    commit_soon();
    if (awaited_.erase(waiter) == 0) return false;
    ++counts_.abandoned;
    arbiter_.abandon(waiter, now);
    return true;
  });
  return abandoned.answer;
}

LockService::At<core::Released> LockService::release(core::PathView path,
                                                     const core::Token& token) {
  return carry_out([&](const core::Now& now) { return arbiter_.release(token, path, now); });
}

LockService::At<core::Released> LockService::release_all(const core::Token& token,
                                                         std::vector<AuditedLock>* ended) {
  return carry_out([&](const core::Now& now) { return arbiter_.release_all(token, now); }, ended);
}

Index LockService::take_back(const core::Token& token, const std::optional<core::Path>& path) {
  const Decision decision{commit_.mutex()};
  const TakenBack what{token, path};
  if (!try_to_take_back(what, read_now())) to_take_back_.push_back(what);
  commit_soon();
  return commit_.last_index();
}

/// False: the journal has no room for the release.
bool LockService::try_to_take_back(const TakenBack& what, const core::Now& now) {
  const auto released = what.path ? arbiter_.release(what.token, what.path->view(), now)
                                  : arbiter_.release_all(what.token, now);
  return released.outcome != core::ReleaseOutcome::busy &&
         released.outcome != core::ReleaseOutcome::disk_full;
}

LockService::At<core::LeaseAnswer> LockService::open_lease(const std::optional<core::Token>& chosen,
                                                           const std::optional<std::string>& owner,
                                                           std::optional<core::Milliseconds> ttl) {
  return carry_out([&](const core::Now& now) {
    // A repeated request without a TTL is the same request, even if the default has changed since.
    const auto lease = chosen ? arbiter_.table().find_lease_of(*chosen) : std::nullopt;
    if (lease && !ttl) ttl = lease->ttl;
    return arbiter_.open_lease(chosen, tokens_.next(), owner, fitting_ttl(ttl), now);
  });
}

LockService::At<core::LeaseAnswer> LockService::renew(const core::Token& token,
                                                      std::optional<core::Milliseconds> ttl) {
  return carry_out([&](const core::Now& now) { return arbiter_.renew(token, ttl, now); });
}

LockService::At<core::Forced> LockService::force(const core::ForceFilter& filter,
                                                 const std::string& reason,
                                                 std::vector<AuditedLock>* ended) {
  return carry_out([&](const core::Now& now) { return arbiter_.force(filter, reason, now); },
                   ended);
}

LockService::At<std::optional<core::Forced>> LockService::force(const core::ForceFilter& filter,
                                                                const std::string& reason,
                                                                std::vector<AuditedLock>* ended,
                                                                AwaitedForced& later) {
  return carry_out(
      [&](const core::Now& now) -> std::optional<core::Forced> {
        core::Forcing forcing = arbiter_.begin_force(filter, reason);
        const bool is_over = arbiter_.advance_force(forcing, forced_at_once, now);
        core::Forced& forced = forcing.forced;
        const bool is_half_done = forced.outcome == core::Outcome::busy && forced.count > 0;
        if (is_over && !is_half_done) return forced;
        if (clock_.is_stopped()) return core::Forced{core::Outcome::busy, forced.count};
        forces_.push_back({std::move(forcing), ended, &later});
        commit_soon();
        return std::nullopt;
      },
      ended);
}

void LockService::forget(const AwaitedForced& later) {
  const std::lock_guard lock{commit_.mutex()};
  for (Force& force : forces_) {
    if (force.later != &later) continue;
    force.later = nullptr;
    force.ended = nullptr;
  }
}

void LockService::begin_stop() {
  const std::lock_guard lock{commit_.mutex()};
  const core::Now now = read_now();
  clock_.stop();
  for (Force& force : forces_) {
    force.forcing.forced.outcome = core::Outcome::busy;
    tell_end(force, now);
  }
  forces_.clear();
}

}  // namespace locker::server
