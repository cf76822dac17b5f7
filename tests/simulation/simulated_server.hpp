#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <random>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "core/arbiter.hpp"
#include "persistence/local_journal.hpp"
#include "server/service/group_commit.hpp"
#include "tests/support/simulated_disk.hpp"

namespace locker::simulation {

struct Request {
  enum class Kind : std::uint8_t { acquire, release, release_all, open_lease, renew, force, look };
  std::uint64_t number = 0;  // of this attempt
  Kind kind = Kind::look;
  core::Token token;
  std::string packed_path;
  core::AcquireCommand acquire{};
  core::Milliseconds ttl{};  ///< Of a renewal; zero: unchanged.
};

struct Reply {
  std::uint64_t request = 0;
  persistence::Index index = 0;
  std::variant<std::monostate, core::Acquired, core::Released, core::LeaseAnswer, core::Forced>
      answer;
};

/// lockerd without sockets, threads and clock: the real arbiter, group commit and journal on a
/// simulated disk. It ends as a process does: by a failed disk call (Died is thrown), or when it is
/// destroyed; after that the disk must be restarted.
class SimulatedServer final : private core::Arbiter::Host {
 public:
  struct Died {
    std::string reason;
  };
  /// Called with each reply at the moment when it may be sent.
  using Send = std::function<void(Reply&&)>;

  SimulatedServer(test::SimulatedDisk& disk, persistence::Durability durability,
                  std::mt19937_64& random, Send send);
  ~SimulatedServer() override;
  SimulatedServer(const SimulatedServer&) = delete;
  SimulatedServer& operator=(const SimulatedServer&) = delete;

  /// Opens the store. Returns null, or why the store was refused.
  [[nodiscard]] std::optional<persistence::OpenFault> open(core::Fence wall);

  /// `now` counts from the server's start.
  void handle(const Request& request, const core::Now& now);
  void disconnect(std::uint64_t request, const core::Now& now);
  void advance(const core::Now& now);
  void commit();
  void run_background();

  [[nodiscard]] const core::Arbiter& arbiter() const { return *arbiter_; }
  [[nodiscard]] const persistence::Recovered& recovered() const { return recovered_; }
  /// All records since the start, in order, encoded.
  [[nodiscard]] const std::vector<std::string>& records() const { return records_; }
  /// Describes a grant that overtook a waiter; empty if none did.
  [[nodiscard]] const std::string& unfairness() const { return unfairness_; }

 private:
  /// Wraps the journal, and lets replies be sent during an append, as other threads would.
  class WatchedJournal;
  struct Queued {
    std::uint64_t request = 0;
    core::Ticket ticket = 0;
    core::Token token;
    bool had_locks = false;
  };
  struct GrantedLater {
    Queued queued;
    std::vector<core::Wanted> locks;
  };

  void on_record(const core::Record& record) override;
  void on_event(const core::Event&) override {}
  void on_decided(core::WaiterId waiter, core::Acquired&& acquired) override;
  [[nodiscard]] core::Room room_for(std::size_t bytes, bool reserved) const override;

  void acquire(const Request& request, const core::Now& now);
  [[nodiscard]] core::Ticket kept_ticket(const Request& request) const;
  void check_order();
  void answer(Reply reply);
  void send_ready();
  [[nodiscard]] bool has_locks(const core::Token& token) const;

  test::SimulatedDisk& disk_;
  const persistence::Durability durability_;
  std::mt19937_64& random_;
  Send send_;
  std::unique_ptr<core::Arbiter> arbiter_;
  std::unique_ptr<persistence::LocalJournal> journal_;
  std::unique_ptr<WatchedJournal> watched_;
  std::unique_ptr<server::GroupCommit> commit_;
  persistence::Recovered recovered_;
  std::vector<std::string> records_;
  std::deque<Reply> replies_;
  std::map<core::WaiterId, Queued> queued_;
  std::vector<GrantedLater> granted_;  // by the current command
  std::string unfairness_;
};

/// Whether two locks of different leases exclude each other: the rule in its simplest form.
[[nodiscard]] bool clash(const core::Wanted& a, const core::Wanted& b);

}  // namespace locker::simulation
