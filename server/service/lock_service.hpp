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

/// The one door to the locks: decides, and puts what it decided into the open batch, in one order.
/// Thread-safe. Holds a mutex for about a microsecond for one lock; lists, and what is asked of a
/// whole lease, take up to some milliseconds. Never waits for the disk. A thread of its own, the
/// timekeeper, does what is due without a request: expiries, ends of waits.
///
/// A mutex and not a strand: both were measured, 7 to 22 ns against 33 to 109 ns, and a call that
/// returns its decision needs no hop back to the connection that asked.
///
/// Every decision carries the index that has to be durable before anybody may be told of it: a
/// refusal and a query tell of other people's grants, so they wait as grants do.
class LockService final : private core::Arbiter::Host {
 public:
  struct Options {
    core::Arbiter::Limits limits = {};
    core::Milliseconds default_ttl{};  ///< Of leases of /v1 that name none; zero: none.
    core::Milliseconds max_ttl{};      ///< Zero: 30 days. Else also the TTL of leases
                                       ///< that would have none.
    core::Milliseconds legacy_ttl{};   ///< Of locks taken by canhaz; zero: none.
  };

  /// Begins to serve what `arbiter` has replayed. `first_fence` is above every fence ever given.
  /// What is decided is added to `events`; that it is published there when it is durable is up to
  /// who made `commit`. All that is given must outlive this.
  LockService(std::unique_ptr<core::Arbiter> arbiter, GroupCommit& commit, EventLog& events,
              const persistence::Journal& journal, core::Fence first_fence, const Options& options);
  LockService(const LockService&) = delete;
  LockService& operator=(const LockService&) = delete;

  /// An answer that may be told only when `index` is durable. Its times are counted from `now`.
  template <typename Answer>
  struct At {
    Answer answer;
    Index index = 0;
    core::Now now{};
  };

  struct LegacyAcquired {
    core::Outcome outcome = core::Outcome::granted;
    core::Token token;  ///< Of the fresh lease, when granted.
    core::Fence fence = 0;
  };
  /// Who is in the way of the 1.0b calls. `wants_place` when the caller may not read everything:
  /// then the owner is told only where it may read.
  struct Blocker {
    std::string owner;  ///< Empty when unknown.
    bool wants_place = false;
    std::optional<core::Path> place{};  ///< None of one that waits itself.
  };
  /// Fills in `blocker` when blocked.
  [[nodiscard]] At<LegacyAcquired> acquire_legacy(core::PathView path, const core::Shape& shape,
                                                  std::string_view owner, Blocker& blocker);
  [[nodiscard]] At<core::Released> release_legacy(core::PathView path, const core::Token& token);
  struct Queried {
    bool blocked = false;
    Index index = 0;
  };
  /// Whether an exclusive request of the 1.0b calls would be refused here, and by whose lock.
  [[nodiscard]] Queried query(core::PathView path, Blocker& blocker);

  using AwaitedAcquired = AwaitedDecision<At<core::Acquired>>;
  /// Fills in fresh token and default TTL. When queued, `later` is decided exactly once, under the
  /// mutex, perhaps before this returns, unless abandon() comes first. REQUIRES: `later`, if
  /// `command` waits.
  [[nodiscard]] At<core::Acquired> acquire(core::AcquireCommand& command,
                                           AwaitedAcquired* later = nullptr);
  /// False: the decision was told.
  [[nodiscard]] bool abandon(core::WaiterId waiter);

  [[nodiscard]] At<core::Released> release(core::PathView path, const core::Token& token);
  /// `ended`, if not null, gets the locks that this ended, up to audited_locks_max.
  [[nodiscard]] At<core::Released> release_all(const core::Token& token,
                                               std::vector<AuditedLock>* ended = nullptr);
  /// Releases the lock, or all of the lease if there is no path, when nobody waits for an answer:
  /// sees to it that it gets to the disk, now or when the journal has room again. The index of what
  /// was released at once.
  Index take_back(const core::Token& token, const std::optional<core::Path>& path = {});
  [[nodiscard]] At<core::LeaseAnswer> open_lease(const std::optional<core::Token>& chosen,
                                                 const std::optional<std::string>& owner,
                                                 std::optional<core::Milliseconds> ttl);
  [[nodiscard]] At<core::LeaseAnswer> renew(const core::Token& token,
                                            std::optional<core::Milliseconds> ttl);
  /// `ended` as in release_all(), and of who waits. In one step: for what ends few locks.
  [[nodiscard]] At<core::Forced> force(const core::ForceFilter& filter, const std::string& reason,
                                       std::vector<AuditedLock>* ended = nullptr);
  using AwaitedForced = AwaitedDecision<At<core::Forced>>;
  /// The same, in slices between which others are answered; several go on one after the other.
  /// None: it goes on, and when it has done all, `later` is decided once, under the mutex, perhaps
  /// before this returns, unless it is forgotten; until then `ended` must live.
  [[nodiscard]] At<std::optional<core::Forced>> force(const core::ForceFilter& filter,
                                                      const std::string& reason,
                                                      std::vector<AuditedLock>* ended,
                                                      AwaitedForced& later);
  /// After this `later` is not decided any more, and may be destroyed. The force itself goes on.
  void forget(const AwaitedForced& later);

  struct PathState {
    static constexpr std::size_t counted_max = 10'000;
    bool is_free = false;
    std::vector<core::LockInfo> holders;  ///< The first of each list, with how many there are.
    std::size_t holder_count = 0;         ///< Counted up to counted_max, as the next one.
    std::vector<core::LockInfo> covered_by;
    std::size_t covered_by_count = 0;
    std::optional<core::LockInfo> awaited_by;  ///< Elsewhere in the tree; see Arbiter.
    std::vector<core::LockInfo> waiters;
    std::size_t waiter_count = 0;
  };
  [[nodiscard]] At<PathState> look_at(core::PathView path);

  struct LeaseContents {
    bool is_living = false;
    std::optional<core::EndedMemory::Ended> ended{};  ///< When it is not, and that is known.
    std::string owner;
    core::Milliseconds ttl{};
    std::optional<core::Instant> expires{};
    LockPages::Page page;
  };
  [[nodiscard]] At<LeaseContents> look_at(const core::Token& token,
                                          std::optional<core::LockId> after);
  /// Names a question about paths, so that its answers can be remembered: equal ones must ask the
  /// same of each path.
  struct Asker {
    std::uint64_t key = 0;
    std::uint8_t right = 0;
    friend auto operator<=>(const Asker&, const Asker&) = default;
  };
  /// Whether `fits` is true of all paths that the lease holds; true when there is no such lease. Of
  /// a large lease the same asker is not asked again what it was true of before.
  [[nodiscard]] At<bool> holds_only(const core::Token& token, const Asker& asker,
                                    const std::function<bool(core::PathView)>& fits);

  [[nodiscard]] At<LockPages::Page> list(const LockPages::Query& query);

  struct Status {
    std::size_t locks = 0;
    std::size_t leases = 0;
    std::size_t opened_leases = 0;  ///< Of them; they live also without locks.
    std::size_t waiters = 0;
    Index index = 0;
    core::Fence last_fence = 0;
    bool accepts_grants = true;
  };
  [[nodiscard]] Status status();

  static constexpr std::size_t outcome_count =
      static_cast<std::size_t>(core::Outcome::superseded) + 1;
  static constexpr std::size_t end_count = static_cast<std::size_t>(core::End::cooled) + 1;
  /// Since the start.
  struct Counts {
    /// What requests for locks got, by outcome; `queued` are those that got another one later.
    std::array<std::uint64_t, outcome_count> outcomes{};
    std::uint64_t abandoned = 0;                   ///< Waits whose client went away.
    std::uint64_t granted = 0;                     ///< Locks; one request may get several.
    std::array<std::uint64_t, end_count> ended{};  ///< Locks and opened leases, by reason.
    std::uint64_t leases_opened = 0;               ///< Without a lock.
  };
  struct Measured {
    Status status;
    Counts counts;
    core::Duration oldest_waiter{};  ///< For how long; zero: there is none.
    core::Duration oldest_lock{};    ///< The same; by the wall clock.
    std::size_t memory_bytes = 0;    ///< As Limits::memory_max counts it.
    std::size_t open_records = 0;    ///< Of the batch that collects now.
    std::size_t pending_bytes = 0;   ///< Of records that are not in the journal yet.
  };
  /// What metrics show; nothing of it has to be durable.
  [[nodiscard]] Measured measure();
  /// For a server that stops. No lease and no wait ends by time from now on: nobody can renew any
  /// more, and after the start every lease has its whole TTL again, unless it ended meanwhile. A
  /// force ends where it is, `busy`: with millions of locks it would go on for longer than a server
  /// may take to stop.
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
  std::vector<AuditedLock>* ended_ = nullptr;  // of the command that is carried out
  // The newest lock that there was when all of the lease were known to fit. Those to come have
  // higher ids, also in another lease of this token.
  std::map<std::pair<core::Token, Asker>, core::LockId> known_to_fit_;

  ServiceClock clock_;
  std::condition_variable_any due_;
  bool commit_wanted_ = false;                     // nobody waits for what was recorded last
  std::vector<TakenBack> to_take_back_;            // the journal had no room
  std::deque<Force> forces_;                       // that go on; the first one has its turn
  bool forces_wait_ = false;                       // until the journal has made room
  core::Instant wakes_at_ = core::Instant::max();  // when the timekeeper looks next
  std::jthread timekeeper_;                        // the last one: it ends before all others
};

}  // namespace locker::server
