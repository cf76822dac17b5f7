#pragma once

#include <array>
#include <chrono>
#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <thread>
#include <unordered_map>
#include <utility>
#include <vector>

#include "core/arbiter.hpp"
#include "server/audit_note.hpp"
#include "server/service/awaited_decision.hpp"
#include "server/service/event_log.hpp"
#include "server/service/group_commit.hpp"
#include "server/service/lock_pages.hpp"
#include "server/service/service_clock.hpp"
#include "server/service/token_source.hpp"

namespace locker::server {

/// The only entry point to the locks: decides, and adds the records of its decisions to the open
/// batch, in one order. Thread-safe. Holds a mutex for about a microsecond per lock; lists, and
/// questions about a whole lease, take up to some milliseconds. No call waits for the disk. A
/// thread of its own, the timekeeper, does what falls due without a request: expiries and ends of
/// waits.
///
/// A mutex, not a strand: both were measured, 7 to 22 ns against 33 to 109 ns, and a call that
/// returns its decision needs no hop back to the connection that asked.
///
/// Every answer carries the index that must be durable before anybody is told of it. Refusals and
/// queries reveal other clients' grants, so they wait as grants do. The caller does the waiting:
/// with GroupCommit::commit_until(), which blocks, or with GroupCommit::wait().
class LockService final : private core::Arbiter::Host {
 public:
  struct Options {
    core::Arbiter::Limits limits = {};
    core::Milliseconds default_ttl{};  ///< Of /v1 leases that name none; zero: none.
    /// The longest TTL that /v1 accepts; zero: 30 days. If not zero, also the TTL of /v1 leases
    /// that would have none.
    core::Milliseconds max_ttl{};
    core::Milliseconds legacy_ttl{};  ///< Of locks acquired by canhaz; zero: none.
  };

  /// Starts to serve what `arbiter` has replayed. `first_fence` must be above every fence ever
  /// issued. Decisions are added to `events`; publishing them there once they are durable is up to
  /// the owner of `commit`. Everything passed by reference must outlive this object.
  LockService(std::unique_ptr<core::Arbiter> arbiter, GroupCommit& commit, EventLog& events,
              const persistence::Journal& journal, core::Fence first_fence, const Options& options);
  LockService(const LockService&) = delete;
  LockService& operator=(const LockService&) = delete;

  /// An answer that may be disclosed only when `index` is durable. Its times are relative to `now`.
  template <typename Answer>
  struct At {
    Answer answer;
    Index index = 0;
    core::Now now{};
  };

  struct LegacyAcquired {
    core::Outcome outcome = core::Outcome::granted;
    core::Token token;  ///< Of the new lease, if granted.
    core::Fence fence = 0;
  };
  /// What blocks a 1.0b call. `wants_place` is set if the caller may not read everything: the owner
  /// is then disclosed only if the caller may read `place`.
  struct Blocker {
    std::string owner;  ///< Empty if unknown.
    bool wants_place = false;
    std::optional<core::Path> place{};  ///< None if the blocker is itself waiting.
  };
  /// Fills in `blocker` if blocked.
  [[nodiscard]] At<LegacyAcquired> acquire_legacy(core::PathView path, const core::Shape& shape,
                                                  std::string_view owner, Blocker& blocker);
  [[nodiscard]] At<core::Released> release_legacy(core::PathView path, const core::Token& token);
  struct Queried {
    bool blocked = false;
    Index index = 0;
  };
  /// Returns whether an exclusive 1.0b request would be refused at `path`, and fills in the
  /// blocking lock.
  [[nodiscard]] Queried query(core::PathView path, Blocker& blocker);

  using AwaitedAcquired = AwaitedDecision<At<core::Acquired>>;
  /// Sets the command's fresh token and default TTL. If the request is queued, `later` is decided
  /// exactly once, under the mutex, perhaps before this returns, unless abandon() comes first.
  /// REQUIRES: `later` is set if `command` waits.
  [[nodiscard]] At<core::Acquired> acquire(core::AcquireCommand& command,
                                           AwaitedAcquired* later = nullptr);
  /// Removes a waiter. False: it is decided already.
  [[nodiscard]] bool abandon(core::WaiterId waiter);

  [[nodiscard]] At<core::Released> release(core::PathView path, const core::Token& token);
  /// `ended`, if not null, receives the locks that this ended, up to audited_locks_max.
  [[nodiscard]] At<core::Released> release_all(const core::Token& token,
                                               std::vector<AuditedLock>* ended = nullptr);
  /// Releases the lock, or the whole lease if there is no path, when no client waits for the
  /// answer. Ensures that the release reaches the disk, now or when the journal has room again.
  /// Returns the index of what was released immediately.
  Index take_back(const core::Token& token, const std::optional<core::Path>& path = {});
  [[nodiscard]] At<core::LeaseAnswer> open_lease(const std::optional<core::Token>& chosen,
                                                 const std::optional<std::string>& owner,
                                                 std::optional<core::Milliseconds> ttl);
  [[nodiscard]] At<core::LeaseAnswer> renew(const core::Token& token,
                                            std::optional<core::Milliseconds> ttl);
  /// `ended` is as in release_all(), and includes waiters. Done in one step: for a force that ends
  /// few locks.
  [[nodiscard]] At<core::Forced> force(const core::ForceFilter& filter, const std::string& reason,
                                       std::vector<AuditedLock>* ended = nullptr);
  using AwaitedForced = AwaitedDecision<At<core::Forced>>;
  /// The same, in slices, between which other requests are answered; concurrent forces run one
  /// after the other. If the answer is nullopt, the force goes on: when it is finished, `later` is
  /// decided once, under the mutex, perhaps before this returns, unless forget() is called; until
  /// then `ended` must live.
  [[nodiscard]] At<std::optional<core::Forced>> force(const core::ForceFilter& filter,
                                                      const std::string& reason,
                                                      std::vector<AuditedLock>* ended,
                                                      AwaitedForced& later);
  /// After this `later` is never decided and may be destroyed. The force itself goes on.
  void forget(const AwaitedForced& later);

  struct PathState {
    static constexpr std::size_t counted_max = 10'000;
    bool is_free = false;
    std::vector<core::LockInfo> holders;  ///< The first of each list, along with its full length.
    std::size_t holder_count = 0;         ///< Counted up to counted_max, like the next count.
    std::vector<core::LockInfo> covered_by;
    std::size_t covered_by_count = 0;
    std::optional<core::LockInfo> awaited_by;  ///< A waiter elsewhere in the tree; see Arbiter.
    std::vector<core::LockInfo> waiters;
    std::size_t waiter_count = 0;
  };
  [[nodiscard]] At<PathState> look_at(core::PathView path);

  struct LeaseContents {
    bool is_living = false;
    std::optional<core::EndedMemory::Ended> ended{};  ///< If ended and still remembered.
    std::string owner;
    core::Milliseconds ttl{};
    std::optional<core::Instant> expires{};
    LockPages::Page page;
  };
  [[nodiscard]] At<LeaseContents> look_at(const core::Token& token,
                                          std::optional<core::LockId> after);
  /// Identifies a question about paths, so that answers can be cached: equal askers must ask the
  /// same about each path.
  struct Asker {
    std::uint64_t key = 0;
    std::uint8_t right = 0;
    friend auto operator<=>(const Asker&, const Asker&) = default;
  };
  /// Returns whether `fits` is true of all paths that the lease holds; true if there is no such
  /// lease. For a large lease, an asker is not asked again about paths that fitted before.
  [[nodiscard]] At<bool> holds_only(const core::Token& token, const Asker& asker,
                                    const std::function<bool(core::PathView)>& fits);

  [[nodiscard]] At<LockPages::Page> list(const LockPages::Query& query);

  struct Status {
    std::size_t locks = 0;
    std::size_t leases = 0;
    std::size_t opened_leases = 0;  ///< Of those, the ones that live without locks too.
    std::size_t waiters = 0;
    Index index = 0;
    core::Fence last_fence = 0;
    bool accepts_grants = true;
  };
  [[nodiscard]] Status status();

  static constexpr std::size_t outcome_count =
      static_cast<std::size_t>(core::Outcome::superseded) + 1;
  static constexpr std::size_t end_count = static_cast<std::size_t>(core::End::cooled) + 1;
  /// Totals since the start.
  struct Counts {
    /// Requests for locks by outcome; `queued` ones are counted again by their final outcome.
    std::array<std::uint64_t, outcome_count> outcomes{};
    std::uint64_t abandoned = 0;                   ///< Waits whose client disconnected.
    std::uint64_t granted = 0;                     ///< Locks; one request may get several.
    std::array<std::uint64_t, end_count> ended{};  ///< Locks and opened leases, by reason.
    std::uint64_t leases_opened = 0;               ///< Without a lock.
  };
  struct Measured {
    Status status;
    Counts counts;
    core::Duration oldest_waiter{};  ///< Its age; zero: there is none.
    core::Duration oldest_lock{};    ///< Likewise, by the wall clock.
    std::size_t memory_bytes = 0;    ///< As Limits::memory_max counts it.
    std::size_t open_records = 0;    ///< In the batch that is collecting.
    std::size_t pending_bytes = 0;   ///< Of records that are not in the journal yet.
  };
  /// Returns what the metrics show; nothing of it has to be durable.
  [[nodiscard]] Measured measure();
  /// Prepares for shutdown. From now on no lease and no wait expires: clients cannot renew any
  /// more, and after the restart every lease has its whole TTL again, unless it ended in the
  /// meantime. A force stops where it is, with outcome `busy`: with millions of locks it would
  /// outlast the time that a server has to stop.
  void begin_stop();
  [[nodiscard]] const Options& options() const { return options_; }
  [[nodiscard]] EventLog& events() { return events_; }

 private:
  class Decision;

  void on_record(const core::Record& record) override;
  void on_event(const core::Event& event) override;
  void on_decided(core::WaiterId waiter, core::Acquired&& acquired) override;
  [[nodiscard]] core::Room room_for(std::size_t bytes, bool reserved) const override;

  [[nodiscard]] core::Now read_now();
  void count(core::Outcome outcome) { ++counts_.outcomes[static_cast<std::size_t>(outcome)]; }
  [[nodiscard]] Status look_at_status() const;
  void after_command(const core::Now& now);
  void commit_soon();
  template <typename Command>
  [[nodiscard]] auto carry_out(const Command& command, std::vector<AuditedLock>* ended = nullptr);
  void keep_time(const std::stop_token& stop);
  [[nodiscard]] bool advance_forces(const core::Now& now);
  struct Force {
    core::Forcing forcing;
    std::vector<AuditedLock>* ended;
    AwaitedForced* later;
  };
  void tell_end(const Force& force, const core::Now& now);
  struct TakenBack {
    core::Token token;
    std::optional<core::Path> path;
  };
  [[nodiscard]] bool try_to_take_back(const TakenBack& what, const core::Now& now);
  [[nodiscard]] core::Milliseconds fitting_ttl(std::optional<core::Milliseconds> asked) const;

  GroupCommit& commit_;
  EventLog& events_;
  const persistence::Journal& journal_;
  const Options options_;
  const std::unique_ptr<core::Arbiter> arbiter_owner_;
  core::Arbiter& arbiter_;
  LockPages pages_;
  TokenSource tokens_;
  std::unordered_map<core::WaiterId, AwaitedAcquired*> awaited_;
  Counts counts_;
  std::vector<AuditedLock>* ended_ = nullptr;  // of the command being executed
  // The newest lock when all locks of the lease were known to fit. Later locks have higher ids,
  // also those of another lease with the same token.
  std::map<std::pair<core::Token, Asker>, core::LockId> known_to_fit_;

  ServiceClock clock_;
  std::condition_variable_any due_;
  bool commit_wanted_ = false;                     // no request waits for the last record
  std::vector<TakenBack> to_take_back_;            // releases that the journal had no room for
  std::deque<Force> forces_;                       // under way; the first one has its turn
  bool forces_wait_ = false;                       // until the journal has room
  core::Instant wakes_at_ = core::Instant::max();  // when the timekeeper next looks
  std::jthread timekeeper_;  // declared last, so that it ends before the others
};

}  // namespace locker::server
